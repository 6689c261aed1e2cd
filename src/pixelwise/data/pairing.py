"""Which mask belongs to which picture, for every way in which a split can be told."""

import re
from collections.abc import Collection
from pathlib import Path

from pixelwise.data.config import DataConfig
from pixelwise.data.listing import is_hidden
from pixelwise.data.places import Named, fixed_part, is_list, lost, matching, read_list
from pixelwise.data.reading import MASK_SUFFIXES, NUMBER_SUFFIXES, PICTURE_SUFFIXES
from pixelwise.data.splitting import share_out
from pixelwise.errors import InputError

Pairs = list[tuple[Path, Path]]


def find_pairs(config: DataConfig, split: str) -> Pairs:
    """(picture, mask) of a split, sorted by name in each of its places.

    Hidden folders and files, and those that systems keep for themselves, are passed over.
    """
    found: dict[Path, Path] = {}
    for place in config.places(split):
        found.update(_listed(config, split, place) if is_list(place) else _in(config, split, place))
    told = {"train": None, "val": config.val, "test": config.test}[split]
    if config.shares is None or told is not None:
        return [*found.items()]
    try:
        of = share_out([_relative(picture, config.path) for picture in found], config.shares)
    except InputError as error:
        raise InputError(f"{config.file}: {error}") from None
    return [pair for pair, its in zip(found.items(), of, strict=True) if its == split]


def _relative(picture: Path, root: Path) -> Path:
    return picture.relative_to(root) if picture.is_relative_to(root) else picture


def _in(config: DataConfig, split: str, place: str) -> Pairs:
    """Those of a folder with its subfolders, or of a pattern."""
    folders = config.folders_of(fixed_part(place))
    return _matched(config, split, folders, matching(config.path, place))


def _listed(config: DataConfig, split: str, place: str) -> Pairs:
    """Those that a list names: a picture per line, and its mask where the line tells it."""
    file = config.path / place
    images, masks_dir = config.folders_of(config.images or ".")
    roots = (images, config.path, file.parent)
    pictures = Named(roots, PICTURE_SUFFIXES)
    masks = Named((config.path, masks_dir, file.parent), _mask_suffixes(config))
    told: Pairs = []
    named: list[Path] = []
    absent: list[str] = []
    lines = read_list(file)
    for number, line in lines:
        first, *second = re.split(r"[\t,;]\s*|\s+", line, maxsplit=1)
        try:
            picture = pictures.find(line)
            if picture is not None:
                named.append(picture)
            elif (picture := pictures.find(first)) is None or not second:
                absent.append(line if not second else first)
            elif (mask := masks.find(second[0])) is None:
                absent.append(second[0])
            else:
                told.append((picture, mask))
        except InputError as error:
            where = f"{file}, line {number}"
            raise InputError(f"{where}: {error}") from None
    if absent:
        raise lost(file, absent, len(lines), roots)
    return [*told, *_beside(config, split, set(named))]


def _beside(config: DataConfig, split: str, named: set[Path]) -> Pairs:
    """Pictures that lists name, with masks where those of their folder lie."""
    if not named:
        return []
    if config.images is not None:
        folders = config.folders_of(config.images)
        inside = {file for file in named if file.is_relative_to(folders[0])}
        pairs = _matched(config, split, folders, inside) if inside else []
        return [*pairs, *_by_folder(config, split, named - inside)]
    return _by_folder(config, split, named)


def _by_folder(config: DataConfig, split: str, named: set[Path]) -> Pairs:
    pairs: Pairs = []
    for folder in sorted({file.parent for file in named}):
        folders = config.folders_of(_relative(folder, config.path).as_posix())
        if not folders[1].is_dir():
            raise InputError(
                f"{config.file}: {split}: the masks of {folders[0]} should be in {folders[1]}, "
                "which is no folder; check masks_dir"
            )
        pairs += _matched(config, split, folders, {f for f in named if f.parent == folder})
    return pairs


def _matched(
    config: DataConfig, split: str, folders: tuple[Path, Path], chosen: Collection[Path] | None
) -> Pairs:
    """The pictures of a folder that are meant (None: all), and their masks, by name."""
    pictures_dir, masks_dir = folders
    names = config.mask_names
    found = files_in(pictures_dir, PICTURE_SUFFIXES)
    if chosen is not None:
        found = [file for file in found if file in chosen]
    if pictures_dir == masks_dir:
        found = [file for file in found if not names.is_mask(file)]
    pictures = [(file, n) for file in found if (n := names.of_picture(file)) is not None]
    if not pictures:
        more = f" ({len(found)} are not called {names.pictures})" if found else ""
        raise InputError(
            f"{config.file}: {split!r} has no picture in {pictures_dir}{more}; check the folder"
        )
    masks: dict[Path, list[Path]] = {}
    for mask in files_in(masks_dir, _mask_suffixes(config)):
        if (star := names.of_mask(mask)) is not None:
            masks.setdefault(mask.relative_to(masks_dir).parent / star, []).append(mask)
    pairs: dict[Path, tuple[Path, Path]] = {}
    keys = [
        (picture, picture.relative_to(pictures_dir).parent / name) for picture, name in pictures
    ]
    without = sum(key not in masks for _, key in keys)
    for picture, key in keys:
        of_it = masks.get(key, [])
        if not of_it:
            other = (
                ".tif, .npy: JPEG blurs values" if config.numbers else ".tif, .bmp: JPEG blurs ids"
            )
            many = f" ({without} of {len(keys)} pictures have none)" * (without > 1)
            raise InputError(
                f"{config.file}: {picture} has no mask{many}; it should be "
                f"{masks_dir / key.parent / names.mask_of(key.name)} (or {other}; other "
                "names: `masks:`)"
            )
        if len(of_it) > 1:
            listed = " and ".join(file.name for file in of_it)
            raise InputError(f"{config.file}: {picture} has several masks; keep one of {listed}")
        if key in pairs:
            raise InputError(
                f"{config.file}: {pairs[key][0]} and {picture} have the same mask {of_it[0]}; "
                f"rename or remove one"
            )
        pairs[key] = (picture, of_it[0])
    return list(pairs.values())


def _mask_suffixes(config: DataConfig) -> frozenset[str]:
    return NUMBER_SUFFIXES if config.numbers else MASK_SUFFIXES


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files below a folder that end so, hidden ones left out, sorted."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes and not is_hidden(file.relative_to(folder))
    )
