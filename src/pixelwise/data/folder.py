"""Pictures in one folder, masks of the same names in another."""

import zlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixelwise.data.alike import kind_of, read_alike
from pixelwise.data.config import DataConfig
from pixelwise.data.pairing import find_pairs
from pixelwise.data.reading import read_header, read_mask, read_mask_nodata
from pixelwise.data.source import LabelledPictures, Sample, Source
from pixelwise.data.stamp import stamp
from pixelwise.errors import InputError


class FolderPictures(LabelledPictures):
    """One split of a data set on disk.

    Raises:
        InputError: There is no picture, a picture has no mask or several, or two pictures have
            the same one.
    """

    apart = True

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

    def origin(self, index: int) -> str | None:
        """The files of a sample, and how they are read."""
        config = self.config
        about = self.meaning, config.classes.ignore_index, config.bands, config.nodata
        return stamp(self.pairs[index], type(self).__name__, *about, self.bands, self.scale)

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
            self._name(picture, base): (picture.stat().st_size, zlib.crc32(mask.read_bytes()))
            for picture, mask in self.pairs
        }

    def _name(self, picture: Path, base: Path) -> str:
        """The picture's path in the split's first folder, or else in the data set."""
        for folder in (base, self.config.path):
            if picture.is_relative_to(folder):
                return str(picture.relative_to(folder))
        return str(picture)

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
