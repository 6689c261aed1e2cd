"""Which picture on disk each figure belongs to, and which split each picture."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pixelwise.data.config import SPLITS
from pixelwise.data.listing import is_hidden
from pixelwise.data.points.config import PointsConfig, Shares
from pixelwise.data.points.figure import Figure
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.text import picture_path, read_text
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.errors import InputError


def place_figures(config: PointsConfig) -> dict[str, list[Figure]]:
    """The figures of each split, with the paths of their pictures.

    Raises:
        InputError: A picture is missing, or its name means several; or a split has no labels.
    """
    found: dict[str, list[Figure]]
    if config.places:
        found = _by_folder(config)
    elif config.shares is None:
        pictures = _Pictures(_files(config.path))
        found = {
            s: _placed(config, labels, pictures, ())
            for s, labels in sorted(config.labels.items(), key=lambda item: SPLITS.index(item[0]))
        }
    else:
        placed = _placed(config, config.labels["all"], _Pictures(_files(config.path)), ())
        found = _shared(config, placed, config.shares)
    for split, figures in found.items():
        if not any(figure.labelled.any() for figure in figures):
            raise InputError(
                f"{config.file}: no picture of {split!r} has labelled points; label some, or check"
                " the names of the pictures"
            )
    return found


class _Pictures:
    """Pictures by what labels may call them."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = {}
        for file in files:
            self._by_name.setdefault(file.name, []).append(file)

    def find(self, name: Path, *, alone: bool) -> list[Path]:
        """The pictures whose paths end as `name` does.

        Args:
            name: As the labels have it.
            alone: Whether no other label has this base name: then it is enough.
        """
        candidates = self._by_name.get(name.name, [])
        parts = tuple(part for part in name.parts if part not in {"..", "."})
        exact = [file for file in candidates if file.parts[-len(parts) :] == parts]
        return exact or (candidates if alone else [])


def _placed(
    config: PointsConfig, labels: PointLabels, pictures: _Pictures, outside: Sequence[Path]
) -> list[Figure]:
    """Figures with their pictures; those whose picture is in no split are left out."""
    counts = Counter(name.name for name in {figure.file for figure in labels.figures})
    base = labels.file if labels.file.is_dir() else labels.file.parent
    places: dict[Path, Path | None] = {}
    for name in dict.fromkeys(figure.file for figure in labels.figures):
        direct = [config.path / name, base / name]
        found = pictures.find(name, alone=counts[name.name] == 1)
        if len(found) > 1:
            near = [file for file in found if file.resolve() in {d.resolve() for d in direct}]
            found = near or found
        if len(found) > 1:
            raise InputError(
                f"{labels.file}: {name} may be {found[0]} or {found[1]}; write more of its path"
            )
        if not found:
            existing = [file for file in direct if file.is_file()]
            if not existing:
                known = _Pictures(outside).find(name, alone=True)
                existing = known[:1]
            if not existing:
                raise InputError(
                    f"{labels.file}: picture {name} is not there; put it into"
                    f" {next(iter(config.places.values()), config.path)}, or correct its name"
                )
            places[name] = None if config.places else existing[0]
            continue
        places[name] = found[0]
    return [
        replace(figure, file=place)
        for figure in labels.figures
        if (place := places[figure.file]) is not None
    ]


def _by_folder(config: PointsConfig) -> dict[str, list[Figure]]:
    files = {split: _of_place(config, place) for split, place in config.places.items()}
    found: dict[str, list[Figure]] = {}
    if "all" not in config.labels:
        for split, inside in files.items():
            found[split] = _placed(config, config.labels[split], _Pictures(inside), ())
        return found
    outside = _files(config.path)
    together = dict.fromkeys(file for inside in files.values() for file in inside)
    placed = _placed(config, config.labels["all"], _Pictures(together), outside)
    for split, inside in files.items():
        within = set(inside)
        found[split] = [figure for figure in placed if figure.file in within]
    return found


def _of_place(config: PointsConfig, place: Path) -> list[Path]:
    if place.is_dir():
        return _files(place)
    everything: _Pictures | None = None
    files = []
    for number, line in enumerate(read_text(place).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{place}, line {number}"
        name = picture_path(line, where)
        direct = [file for file in (config.path / name, place.parent / name) if file.is_file()]
        if not direct:
            everything = everything or _Pictures(_files(config.path))
            direct = everything.find(name, alone=True)
            if len(direct) > 1:
                raise InputError(
                    f"{where}: {name} may be {direct[0]} or {direct[1]}; write more of its path"
                )
        if not direct:
            raise InputError(f"{where}: picture {name} is not there; correct its name")
        files.append(direct[0])
    return files


def _shared(config: PointsConfig, figures: list[Figure], shares: Shares) -> dict[str, list[Figure]]:
    """Groups of pictures in an order by chance: first test, then val, the rest is train."""

    def group(file: Path) -> str:
        return file.parent.as_posix() if shares.by == "folder" else file.as_posix()

    counts = Counter(group(file) for file in {figure.file for figure in figures})
    order = sorted(counts)
    random.Random(shares.seed).shuffle(order)
    of: dict[str, str] = {}
    for split, share in (("test", shares.test), ("val", shares.val)):
        wanted, got = share * sum(counts.values()), 0
        for name in order:
            if got < wanted and name not in of:
                of[name], got = split, got + counts[name]
    found: dict[str, list[Figure]] = {
        split: []
        for split, share in (("train", 1.0), ("val", shares.val), ("test", shares.test))
        if share
    }
    shared = {of.get(name, "train") for name in order}
    for split in found:
        if split not in shared:
            raise InputError(
                f"{config.file}: split: leaves no {shares.by} for {split!r} of {len(order)} in the"
                f" labels; label more,{' write `by: picture`,' * (shares.by == 'folder')} or lower"
                " the shares"
            )
    for figure in figures:
        found[of.get(group(figure.file), "train")].append(figure)
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(file.relative_to(folder))
    )
