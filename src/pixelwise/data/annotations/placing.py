"""Which picture a drawing belongs to."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.shapes import Drawing, Drawn
from pixelwise.data.config import SPLITS
from pixelwise.data.listing import is_hidden
from pixelwise.data.places import LISTED, Named, fixed_part, is_list, lost, matching, read_list
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.data.splitting import share_out
from pixelwise.errors import InputError

Placed = list[tuple[Path, Drawing]]


class Pictures:
    """Finds pictures by their path, the end of it, or their name."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = {}
        for file in files:
            self._by_name.setdefault(file.name, []).append(file)
            self._by_name.setdefault(file.stem, []).append(file)

    def find(self, drawing: Drawing) -> Path | None:
        """The picture of a drawing; None: not among these.

        Raises:
            InputError: Several may be meant.
        """
        for name in drawing.names:
            suffix = name.suffix.lower() in PICTURE_SUFFIXES
            found = self._by_name.get(name.name, [])
            if not suffix:
                found = [file for file in found if file.stem == name.name]
            common = {file: _tail(file, name, suffix) for file in found}
            found = [file for file in found if common[file] == max(common.values())]
            if len(found) > 1:
                raise InputError(
                    f"{drawing.where}: {name} may be {found[0]} or {found[1]}; write more of its"
                    " path, or rename one"
                )
            if found:
                return found[0]
        return None


def place_drawings(config: AnnotatedConfig) -> tuple[dict[str, Placed], list[str]]:
    """(picture, drawing) of each split, sorted by name, and lines about what was left out.

    Raises:
        InputError: A picture is missing or in question, or a split would be empty.
    """
    notes = [
        f"{count} shapes {why} left out of {drawn.place.name}, the first in {drawn.first[why]}"
        for drawn in config.drawn.values()
        for why, count in drawn.left_out.items()
    ]
    found: dict[str, Placed] = {}
    files = {
        split: [file for place in places for file in _files(config, place)]
        for split, places in config.places.items()
    }
    # With one file for all, a drawing may be of a picture in another split, or in none.
    others = [f for inside in files.values() for f in inside]
    others += _inside(config.path) if files and "all" in config.drawn else []
    for split in SPLITS:
        if split in files:
            found[split] = _told(config, split, files[split], others, notes)
        elif split in config.drawn:
            found[split] = _searched(config, config.drawn[split])
    if config.shares is not None:
        every = found.get("train") or _searched(config, config.drawn["all"])
        relative = [Path(os.path.relpath(picture, config.path)) for picture, _ in every]
        of = share_out(relative, config.shares)
        found = {
            split: [pair for pair, its in zip(every, of, strict=True) if its == split]
            for split in config.shares.splits
        }
    for split, placed in found.items():
        if not placed:
            raise InputError(f"{config.file}: {split!r} has no picture with annotations; add some")
    return found, notes


def _told(
    config: AnnotatedConfig,
    split: str,
    files: Sequence[Path],
    others: Sequence[Path],
    notes: list[str],
) -> Placed:
    """Pictures of the places of a split, with what is drawn in them."""
    drawn = config.drawn.get(split) or config.drawn["all"]
    inside = {*files}
    pictures = Pictures(dict.fromkeys(files if split in config.drawn else others))
    of: dict[Path, Drawing] = {}
    absent = []
    for drawing in drawn.drawings:
        picture = pictures.find(drawing)
        if picture is None:
            absent.append(str(drawing.names[0]))
        elif picture in inside and of.setdefault(picture, drawing) is not drawing:
            raise InputError(f"{drawing.where}: {of[picture].where} has the same picture; keep one")
    if absent and split in config.drawn:
        roots = tuple(config.path / fixed_part(place) for place in config.places[split])
        raise lost(drawn.place, absent, len(drawn.drawings), roots)
    without = [file for file in dict.fromkeys(files) if file not in of]
    if drawn.bare:
        of.update({file: Drawing((file,), (), None, str(file)) for file in without})
    elif without:
        shown = ", ".join(file.name for file in without[:LISTED]) + ", ..." * (
            len(without) > LISTED
        )
        notes.append(f"{len(without)} images of {split} are not in {drawn.place.name}: {shown}")
    return sorted(of.items())


def _searched(config: AnnotatedConfig, drawn: Drawn) -> Placed:
    """All drawings, whose pictures are looked for beside the tool's files and below `path`."""
    folder = drawn.place if drawn.place.is_dir() else drawn.place.parent
    roots = [config.path / config.images] if config.images else [folder, config.path]
    remaining = drawn.drawings
    placed: dict[Path, Drawing] = {}
    for root in roots:
        pictures = Pictures(_inside(root))
        found = [(drawing, pictures.find(drawing)) for drawing in remaining]
        for drawing, picture in found:
            if picture is not None and placed.setdefault(picture, drawing) is not drawing:
                raise InputError(
                    f"{drawing.where}: {placed[picture].where} has the same picture; keep one"
                )
        remaining = [drawing for drawing, picture in found if picture is None]
        if not remaining:
            break
    if remaining:
        names = [str(drawing.names[0]) for drawing in remaining]
        raise lost(drawn.place, names, len(drawn.drawings), tuple(roots))
    return sorted(placed.items())


def _files(config: AnnotatedConfig, place: str) -> list[Path]:
    if is_list(place):
        file = config.path / place
        roots = (config.path / (config.images or "."), config.path, file.parent)
        named = Named(roots, PICTURE_SUFFIXES)
        lines = [line for _, line in read_list(file)]
        found = {line: named.find(line) for line in lines}
        absent = [line for line, picture in found.items() if picture is None]
        if absent:
            raise lost(file, absent, len(lines), roots)
        return [picture for picture in found.values() if picture is not None]
    folder = config.path / fixed_part(place)
    chosen = matching(config.path, place)
    return [file for file in _inside(folder) if chosen is None or file in chosen]


def _inside(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(file.relative_to(folder))
    )


def _tail(file: Path, name: Path, suffix: bool) -> int:
    """How many parts of two paths are the same, counted from the end."""
    theirs = (name if suffix else name.with_name(file.name)).parts
    pairs = zip(reversed(file.parts), reversed(theirs), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(file.parts), len(theirs)))
