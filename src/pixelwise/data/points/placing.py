"""Which picture on disk each figure belongs to, and which split each picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pixelwise.data.config import SPLITS
from pixelwise.data.points.boxes import with_boxes
from pixelwise.data.points.config import PointsConfig
from pixelwise.data.points.figure import Figure
from pixelwise.data.points.finding import Pictures, pictures_below
from pixelwise.data.points.labels import PointLabels
from pixelwise.data.points.sharing import share_out
from pixelwise.data.points.text import picture_path, read_text
from pixelwise.errors import InputError


@dataclass(frozen=True)
class Placed:
    """Figures whose pictures were found.

    Args:
        splits: Split -> its figures.
        told: How they were shared out, in words; empty where the data set says.
    """

    splits: dict[str, list[Figure]]
    told: str = ""


def place_figures(config: PointsConfig) -> Placed:
    """The figures of each split, with the paths of their pictures.

    Raises:
        InputError: A picture is missing, or its name means several; or a split has no labels.
    """
    found: dict[str, list[Figure]]
    told = ""
    if config.places:
        found = _by_folder(config)
    elif config.shares is None:
        pictures = Pictures(pictures_below(config.path))
        found = {
            s: _placed(config, labels, pictures, ())
            for s, labels in sorted(config.labels.items(), key=lambda item: SPLITS.index(item[0]))
        }
    else:
        placed = _placed(config, config.labels["all"], Pictures(pictures_below(config.path)), ())
        labelled = [figure.file for figure in placed if figure.labelled.any()]
        if not labelled:
            raise InputError(f"{config.file}: no picture has labelled points; label some")
        try:
            shared = share_out(labelled, config.shares)
        except InputError as error:
            raise InputError(f"{config.file}: {error}") from None
        told = shared.told
        found = {split: [] for split in SPLITS if split in shared.splits.values()}
        for figure in placed:
            found[shared.splits.get(figure.file, "train")].append(figure)
    for split, figures in found.items():
        if not any(figure.labelled.any() for figure in figures):
            raise InputError(
                f"{config.file}: no picture of {split!r} has labelled points; label some, or check"
                " the names of the pictures"
            )
    found, boxes = with_boxes(found)
    return Placed(found, "; ".join(filter(None, (told or _overlap(found), boxes))))


def _overlap(found: dict[str, list[Figure]]) -> str:
    """Pictures that are learnt and validated on, in words."""
    train = {figure.file.resolve() for figure in found.get("train", [])}
    others = {f.file.resolve() for split, its in found.items() if split != "train" for f in its}
    both = sorted(train & others)
    if not both:
        return ""
    return f"{len(both)} pictures of train are in another split too, as {both[0].name}"


def _placed(
    config: PointsConfig,
    files: Sequence[PointLabels],
    pictures: Pictures,
    outside: Sequence[Path],
) -> list[Figure]:
    """Figures with their pictures; those whose picture is in no split are left out.

    Raises:
        InputError: A picture is missing, its name means several, or two files label it.
    """
    figures: list[Figure] = []
    labelled_in: dict[Path, Path] = {}
    for labels in files:
        places = _places(config, labels, pictures, outside)
        for place in dict.fromkeys(places.values()):
            if place is not None and labelled_in.setdefault(place, labels.file) != labels.file:
                raise InputError(
                    f"{labels.file}: {place} is labelled in {labelled_in[place]} too; keep one, or"
                    " name the other as `repeated:`"
                )
        figures += [
            replace(figure, file=place)
            for figure in labels.figures
            if (place := places[figure.file]) is not None
        ]
    return figures


def _places(
    config: PointsConfig, labels: PointLabels, pictures: Pictures, outside: Sequence[Path]
) -> dict[Path, Path | None]:
    """Name in the labels -> the picture; None: it is in no split."""
    counts = Counter(name.name for name in {figure.file for figure in labels.figures})
    base = labels.file if labels.file.is_dir() else labels.file.parent
    elsewhere = Pictures(outside)
    places: dict[Path, Path | None] = {}
    absent = []
    for name in dict.fromkeys(figure.file for figure in labels.figures):
        direct = [config.path / name, base / name]
        found = pictures.find(name, alone=counts[name.name] == 1)
        if len(found) > 1:
            real = [d.resolve() for d in direct]
            near = [file for file in found if file.resolve() in real]
            found = near[:1] if len({file.resolve() for file in near}) == 1 else near or found
        if len(found) > 1:
            raise InputError(
                f"{labels.file}: {name} may be {found[0]} or {found[1]}; write more of its path"
            )
        existing = found or [file for file in direct if file.is_file()]
        existing = existing or elsewhere.find(name, alone=True)[:1]
        if not existing:
            absent.append(name)
            continue
        places[name] = existing[0] if found or not config.places else None
    named: dict[Path, Path] = {}
    for name, place in places.items():
        if place is not None and named.setdefault(place, name) != name:
            raise InputError(
                f"{labels.file}: {named[place]} and {name} are the same picture; keep one of them"
            )
    if absent:
        more = f" (and {len(absent) - 1} more of {len(places) + len(absent)})" * (len(absent) > 1)
        raise InputError(
            f"{labels.file}: picture {absent[0]} is not there{more}; put it into"
            f" {next(iter(config.places.values()), config.path)}, or correct its name"
        )
    return places


def _by_folder(config: PointsConfig) -> dict[str, list[Figure]]:
    files = {split: _of_place(config, place) for split, place in config.places.items()}
    found: dict[str, list[Figure]] = {}
    if "all" not in config.labels:
        for split, inside in files.items():
            found[split] = _placed(config, config.labels[split], Pictures(inside), ())
        return found
    outside = pictures_below(config.path)
    together = dict.fromkeys(file for inside in files.values() for file in inside)
    placed = _placed(config, config.labels["all"], Pictures(together), outside)
    for split, inside in files.items():
        within = set(inside)
        found[split] = [figure for figure in placed if figure.file in within]
    return found


def _of_place(config: PointsConfig, place: Path) -> list[Path]:
    if place.is_dir():
        return pictures_below(place)
    everything: Pictures | None = None
    files = []
    for number, line in enumerate(read_text(place).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{place}, line {number}"
        name = picture_path(line, where)
        direct = [file for file in (config.path / name, place.parent / name) if file.is_file()]
        if not direct:
            everything = everything or Pictures(pictures_below(config.path))
            direct = everything.find(name, alone=True)
            if len(direct) > 1:
                raise InputError(
                    f"{where}: {name} may be {direct[0]} or {direct[1]}; write more of its path"
                )
        if not direct:
            raise InputError(f"{where}: picture {name} is not there; correct its name")
        files.append(direct[0])
    return files
