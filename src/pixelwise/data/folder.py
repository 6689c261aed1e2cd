"""Pictures in one folder, masks of the same names in another."""

import zlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixelwise.data.alike import kind_of, read_alike
from pixelwise.data.config import DataConfig
from pixelwise.data.listing import is_hidden
from pixelwise.data.reading import (
    MASK_SUFFIXES,
    NUMBER_SUFFIXES,
    PICTURE_SUFFIXES,
    read_header,
    read_mask,
    read_mask_nodata,
)
from pixelwise.data.source import LabelledPictures, Sample, Source
from pixelwise.errors import InputError


class FolderPictures(LabelledPictures):
    """One split of a data set on disk.

    Raises:
        InputError: There is no picture, a picture has no mask or several, or two pictures have
            the same one.
    """

    def __init__(self, config: DataConfig, split: str, bands: int, scale: float) -> None:
        super().__init__(config.classes, bands, scale, f"{split!r} of {config.file}")
        self.config, self.split = config, split
        self.pairs = find_pairs(config, split)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        picture, mask = self.pairs[index]
        config = self.config
        read = read_alike(picture, config, self.bands, self.scale)
        image, missing = read.values, read.missing
        target = self._target(mask)
        if target.shape[-2:] != image.shape[1:]:
            raise InputError(
                f"{mask}: {target.shape[-2]} x {target.shape[-1]} pixels (height x width), but its "
                f"picture {picture} has {image.shape[1]} x {image.shape[2]} (after its EXIF "
                "rotation, if any); make them equal"
            )
        if missing is not None:
            target[..., missing] = self.outside
        return Sample(image, target, str(picture), missing, read.dtype)

    def _target(self, mask: Path) -> Tensor:
        """What a mask says, the pixels in the last two dimensions."""
        values = self.config.values
        raw = read_mask(mask, colours=values.by_colour, max_megapixels=self.config.max_megapixels)
        nodata = read_mask_nodata(mask)
        ignored = self.config.classes.ignore_index
        known = None if nodata is None or nodata != int(nodata) else (int(nodata), ignored)
        return values.apply(raw, mask, nodata=known)

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of its mask."""
        base = self.config.folders(self.split)[0]
        return {
            str(picture.relative_to(base)): (picture.stat().st_size, zlib.crc32(mask.read_bytes()))
            for picture, mask in self.pairs
        }

    @property
    def meaning(self) -> str:
        """The `map:` and the palette."""
        return f"{self.config.values.values} {self.config.values.by_colour}"

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, from its header."""
        header = read_header(self.pairs[index][0], self.config.max_megapixels)
        return header.height, header.width


class FolderSource(Source):
    """A data set on disk; all its splits are listed, and its pictures' kind read, at once."""

    def __init__(self, config: DataConfig) -> None:
        pairs = {split: find_pairs(config, split) for split in config.splits}
        pictures = [picture for picture, _ in pairs[config.splits[0]]]
        bands, scale = kind_of(pictures, config)
        name = config.file.absolute().parent.name
        super().__init__(name, config.classes, bands, scale, config.bands, config.nodata)
        self.config = config

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the configuration names."""
        return self.config.splits

    def split(self, name: str) -> LabelledPictures:
        """The pictures of "train", "val" or "test"."""
        return FolderPictures(self.config, name, self.bands, self.scale)


def find_pairs(config: DataConfig, split: str) -> list[tuple[Path, Path]]:
    """(picture, mask) of a split, sorted by name; subfolders are searched alike.

    Hidden folders and files, and those that systems keep for themselves, are passed over.
    """
    pictures_dir, masks_dir = config.folders(split)
    names = config.mask_names
    found = files_in(pictures_dir, PICTURE_SUFFIXES)
    if pictures_dir == masks_dir:
        found = [file for file in found if not names.is_mask(file)]
    pictures = [(file, n) for file in found if (n := names.of_picture(file)) is not None]
    if not pictures:
        more = f" ({len(found)} are not called {names.pictures})" if found else ""
        raise InputError(
            f"{config.file}: {split!r} has no picture in {pictures_dir}{more}; check the folder"
        )
    masks: dict[Path, list[Path]] = {}
    for mask in files_in(masks_dir, NUMBER_SUFFIXES if config.numbers else MASK_SUFFIXES):
        if (star := names.of_mask(mask)) is not None:
            masks.setdefault(mask.relative_to(masks_dir).parent / star, []).append(mask)
    pairs: dict[Path, tuple[Path, Path]] = {}
    for picture, name in pictures:
        key = picture.relative_to(pictures_dir).parent / name
        of_it = masks.get(key, [])
        if not of_it:
            other = (
                ".tif, .npy: JPEG blurs values" if config.numbers else ".tif, .bmp: JPEG blurs ids"
            )
            raise InputError(
                f"{config.file}: {picture} has no mask; it should be "
                f"{masks_dir / key.parent / names.mask_of(name)} (or {other}; other "
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


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files below a folder that end so, hidden ones left out, sorted."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes and not is_hidden(file.relative_to(folder))
    )
