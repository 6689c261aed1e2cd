"""From a folder and perhaps the name of its layout to a data.yaml."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.discovery import describe_shapes
from pixelwise.data.annotations.folder import AnnotatedSource
from pixelwise.data.config import DataConfig
from pixelwise.data.folder import FolderSource
from pixelwise.data.listing import is_hidden
from pixelwise.data.published import aerial, exports, objects, single, streets
from pixelwise.data.published.layout import Content, Layout
from pixelwise.data.source import Source
from pixelwise.errors import InputError, unknown
from pixelwise.naming import folded

PUBLISHED: dict[str, Layout] = {
    **objects.LAYOUTS_HERE,
    **streets.LAYOUTS_HERE,
    **aerial.LAYOUTS_HERE,
    **single.LAYOUTS_HERE,
    **exports.LAYOUTS_HERE,
}
ALIASES = {
    "ade": "ade20k", "voc2012": "voc", "vocaug": "voc-aug", "context": "pascal-context",
    "camvid32": "camvid-colours", "deepcrack": "crackforest", "cracks": "crackforest",
}  # fmt: skip
DEPTH = 2
"""A data set may lie in a folder of the folder that is given."""
MOST = 1000
"""Folders that are looked through for it."""


@dataclass(frozen=True)
class Imported:
    """A data set that was found.

    Args:
        key: Its layout.
        root: Where it lies.
        content: What its data.yaml says.
        counts: Split -> pictures.
    """

    key: str
    root: Path
    content: Content
    counts: dict[str, int]


def find(folder: Path, key: str | None, out: Path) -> Imported:
    """The data set in a folder; the masks and pictures of each split are looked for.

    Args:
        folder: The data set, or a folder that holds it.
        key: Its layout; None: the one that fits.
        out: The data.yaml that will be written.

    Raises:
        InputError: No such folder or layout, what it needs is not there, or several layouts fit.
    """
    key = None if key is None else key_of(key)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    key, root = _only(folder) if key is None else (key, _root(folder, key))
    content = PUBLISHED[key].describe(root)
    relative = _from(out, root)
    content = {**({} if relative == "." else {"path": relative}), **content}
    return Imported(key, root, content, _checked(out, content))


def key_of(name: str) -> str:
    """The layout that a name means.

    Raises:
        InputError: There is none.
    """
    known = {folded(key): key for key in PUBLISHED} | ALIASES
    if folded(name) not in known:
        raise unknown("layout", name, PUBLISHED)
    return known[folded(name)]


def _only(folder: Path) -> tuple[str, Path]:
    """The one layout that fits, and where."""
    fitting: dict[tuple[str, Path], bool] = {
        (key, root): layout.loose
        for root in _folders(folder)
        for key, layout in PUBLISHED.items()
        if layout.fits(root)
    }
    strict = [found for found, loose in fitting.items() if not loose] or [*fitting]
    if not strict:
        raise InputError(
            f"{folder}: has none of the layouts that are known ({', '.join(PUBLISHED)}); name one"
            " to see what it lacks, or write a data.yaml (with `annotations:` for a label tool)"
        )
    polygons = [found for found in strict if found[0] == "polygons"]
    if surely := [found for found in polygons if describe_shapes(found[1]) is not None]:
        strict = surely[:1]  # the folder that holds all of them
    elif len(strict) > len(polygons):
        strict = [found for found in strict if found not in polygons]
    if len(strict) > 1:
        listed = " or ".join(
            f"`pixelwise data import {key} {shlex.quote(str(root))}`" for key, root in strict[:6]
        )
        raise InputError(f"{folder}: may be of several layouts; say {listed}")
    return strict[0]


def _root(folder: Path, key: str) -> Path:
    layout = PUBLISHED[key]
    roots = _folders(folder)
    fitting = [root for root in roots if not layout.lacking(root)]
    if len(fitting) > 1 and fitting[0] != folder:
        raise InputError(
            f"{folder}: holds several, {fitting[0]} and {fitting[1]}; give the folder of one"
        )
    if fitting:
        return fitting[0]
    nearest = min(roots, key=lambda root: len(layout.lacking(root)))
    lacking = [need.replace("|", " or ") for need in layout.lacking(nearest)]
    begun = len(lacking) < len(layout.needs)
    what = "is not a whole" if begun else "does not look like"
    remedy = "finish the download" if begun else "check the folder, or leave out the layout"
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    raise InputError(
        f"{nearest}: {what} {key}: there is no {', no '.join(lacking[:3])}{more}; {remedy}"
    )


def _folders(folder: Path) -> list[Path]:
    found, level = [folder], [folder]
    for _ in range(DEPTH):
        level = [
            inside
            for above in level
            for inside in sorted(above.iterdir())
            if inside.is_dir() and not is_hidden(inside.relative_to(folder))
        ][:MOST]
        found += level
    return found


def _from(out: Path, root: Path) -> str:
    """The place of the data set as its data.yaml says it."""
    return Path(os.path.relpath(root.resolve(), out.resolve().parent)).as_posix()


def _checked(out: Path, content: Content) -> dict[str, int]:
    try:
        source: Source = (
            AnnotatedSource(AnnotatedConfig.of(out, content))
            if "annotations" in content
            else FolderSource(DataConfig.of(out, content))
        )
        counts = {}
        for split in source.splits:
            pictures = source.split(split)
            pictures[0]
            counts[split] = len(pictures)
    except InputError as error:
        told = str(error).removeprefix(f"{out}: ")
        raise InputError(f"{told}; or is the download not complete?") from None
    return counts
