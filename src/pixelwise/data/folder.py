"""Pictures in one folder, masks of the same names in another."""

from pathlib import Path

from pixelwise.data.config import DataConfig
from pixelwise.data.reading import (
    MASK_SUFFIXES,
    PICTURE_SUFFIXES,
    read_header,
    read_image,
    read_mask,
    white,
)
from pixelwise.data.source import LabelledPictures, Sample, Source
from pixelwise.errors import InputError

PROBED = 16  # pictures whose headers tell how many bands the data set has


class FolderPictures(LabelledPictures):
    """One split of a data set on disk.

    Raises:
        InputError: There is no picture, a picture has no mask or several, or two pictures have
            the same one.
    """

    def __init__(self, config: DataConfig, split: str, bands: int, scale: float) -> None:
        super().__init__(config.classes, bands, scale, f"{split!r} of {config.file}")
        self.config = config
        self.pairs = find_pairs(config, split)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        picture, mask = self.pairs[index]
        image = read_image(picture, self.config.bands, self.bands)
        if self.config.scale is None and white(image.dtype) != self.scale:
            raise InputError(
                f"{picture}: holds {str(image.dtype).removeprefix('torch.')}, but other pictures of"
                f" {self.config.file} do not; convert it, or state `scale:` (white)"
            )
        raw = read_mask(mask, colours=self.config.values.by_colour)
        if raw.shape[:2] != image.shape[1:]:
            raise InputError(
                f"{mask}: {raw.shape[0]} x {raw.shape[1]} pixels (height x width), but its picture "
                f"{picture} has {image.shape[1]} x {image.shape[2]} (after its EXIF rotation, if "
                f"any); make them equal"
            )
        return Sample(image, self.config.values.apply(raw, mask), str(picture))


class FolderSource(Source):
    """A data set on disk; all its splits are listed, and its pictures' kind read, at once."""

    def __init__(self, config: DataConfig) -> None:
        pairs = {split: find_pairs(config, split) for split in config.splits}
        pictures = [picture for picture, _ in pairs[config.splits[0]]]
        headers = [read_header(p) for p in pictures[:: max(1, len(pictures) // PROBED)]]
        most = max(headers, key=lambda header: header.bands)
        bands = most.bands if config.bands is None else len(config.bands)
        scale = most.scale if config.scale is None else config.scale
        name = config.file.absolute().parent.name
        super().__init__(name, config.classes, bands, scale, config.bands)
        self.config = config

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the configuration names."""
        return self.config.splits

    def split(self, name: str) -> FolderPictures:
        """The pictures of "train", "val" or "test"."""
        return FolderPictures(self.config, name, self.bands, self.scale)


def find_pairs(config: DataConfig, split: str) -> list[tuple[Path, Path]]:
    """(picture, mask) of a split, sorted by name; subfolders are searched alike."""
    pictures_dir, masks_dir = config.folders(split)
    pictures = _files(pictures_dir, PICTURE_SUFFIXES)
    if not pictures:
        raise InputError(
            f"{config.file}: {split!r} has no picture in {pictures_dir}; check the folder"
        )
    masks: dict[Path, list[Path]] = {}
    for mask in _files(masks_dir, MASK_SUFFIXES):
        masks.setdefault(mask.relative_to(masks_dir).with_suffix(""), []).append(mask)
    pairs: dict[Path, tuple[Path, Path]] = {}
    for picture in pictures:
        key = picture.relative_to(pictures_dir).with_suffix("")
        found = masks.get(key, [])
        if not found:
            raise InputError(
                f"{config.file}: {picture} has no mask; it should be {masks_dir / key}.png "
                f"(or .tif, .bmp: JPEG blurs ids)"
            )
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            raise InputError(f"{config.file}: {picture} has several masks; keep one of {names}")
        if key in pairs:
            raise InputError(
                f"{config.file}: {pairs[key][0]} and {picture} have the same mask {found[0]}; "
                f"rename or remove one"
            )
        pairs[key] = (picture, found[0])
    return list(pairs.values())


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
