"""Pictures in one folder, masks of labels that overlap in another."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from pixelwise.data.alike import kind_of, read_alike
from pixelwise.data.config import DataConfig
from pixelwise.data.label_masks import LabelReader
from pixelwise.data.labels_survey import LabelsSurvey, survey_labels
from pixelwise.data.overlapping import LabelFiles
from pixelwise.data.pairing import files_in, find_pairs
from pixelwise.data.reading import NUMBER_SUFFIXES, PICTURE_SUFFIXES, read_header
from pixelwise.data.source import LabelledPictures, Progress, Sample, Source
from pixelwise.data.stamp import stamp
from pixelwise.errors import InputError
from pixelwise.language import message

JPEG = frozenset({".jpg", ".jpeg"})
Masks = tuple[Path | None, ...]
"""The mask of a picture; or one per label, None where there is no file."""


class FolderLabels(LabelledPictures):
    """One split with labels: `Sample.mask` is (k, h, w) int64, 0, 1 or the ignore index."""

    def __init__(
        self, config: DataConfig, split: str, bands: int, scale: float, reader: LabelReader
    ) -> None:
        super().__init__(config.classes, bands, scale, f"{split!r} of {config.file}")
        self.config, self.split, self.reader = config, split, reader
        self.files_of = find_masks(config, split)

    def __len__(self) -> int:
        return len(self.files_of)

    def __getitem__(self, index: int) -> Sample:
        picture, masks = self.files_of[index]
        read = read_alike(picture, self.config, self.bands, self.scale)
        height, width = read.values.shape[1:]
        target = torch.from_numpy(self._target(picture, masks, (height, width)))
        if read.missing is not None:
            target[..., read.missing] = self.outside
        return Sample(read.values, target, str(picture), read.missing, read.dtype)

    def origin(self, index: int) -> str | None:
        """The files of a sample, and how they are read."""
        picture, masks = self.files_of[index]
        config = self.config
        about = self.meaning, config.classes, config.bands, config.nodata, self.bands, self.scale
        return stamp((picture, *masks), "labels", [mask is None for mask in masks], *about)

    def _target(
        self, picture: Path, masks: Masks, size: tuple[int, int]
    ) -> Int64[ndarray, "k h w"]:
        how = self.reader.how
        if how.how != "files":
            (mask,) = masks
            assert mask is not None
            found = self.reader.bands(mask) if how.how == "bands" else self.reader.colours(mask)
            _check_size(mask, found, picture, size)
            return found
        absent = 0 if how.missing == "empty" else self.classes.ignore_index
        target = np.full((len(masks), *size), absent, np.int64)
        for label, mask in zip(target, masks, strict=True):
            if mask is not None:
                one = self.reader.one(mask)
                _check_size(mask, one, picture, size)
                label[:] = one
        return target

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of its masks."""
        base = self.config.folders(self.split)[0]
        return {
            str(picture.relative_to(base) if picture.is_relative_to(base) else picture): (
                picture.stat().st_size,
                _check_sum(masks),
            )
            for picture, masks in self.files_of
        }

    @property
    def meaning(self) -> str:
        """What values, colours and absent files mean."""
        how = self.reader.how
        return f"{how.how} {dict(how.values)} {dict(how.colours)}, absent files {how.missing}"

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, from its header."""
        header = read_header(self.files_of[index][0], self.config.max_megapixels)
        return header.height, header.width

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> LabelsSurvey:
        """Read everything once and tell what is there.

        Raises:
            InputError: What reading a picture raises, or a label of which nothing is known, or no
                label is anywhere.
        """
        absent = [mask is None for _, masks in self.files_of for mask in masks]
        told = []
        if any(absent):
            told.append(
                f"{sum(absent)} of {len(absent)} files of labels are absent: taken as"
                f" {'not there' if self.reader.how.missing == 'empty' else 'not known'}"
                " (missing_masks)"
            )
        return survey_labels(self, progress, told, workers)


class FolderLabelsSource(Source):
    """A data set on disk whose pixels have several labels."""

    kind: ClassVar[str] = "labels"

    def __init__(self, config: DataConfig) -> None:
        found = {split: find_masks(config, split) for split in config.splits}
        pictures = [picture for picture, _ in found[config.splits[0]]]
        bands, scale = kind_of(pictures, config)
        name = config.file.absolute().parent.name
        super().__init__(name, config.classes, bands, scale, config.bands, config.nodata)
        assert config.overlapping is not None
        self.config = config
        self._reader = LabelReader(
            config.overlapping,
            config.classes.names,
            config.classes.ignore_index,
            config.file,
            config.max_megapixels,
        )

    @property
    def contents(self) -> str:
        """How many labels."""
        count, ignored = len(self.classes), self.classes.ignore_index
        return message(
            "{count} labels that may overlap, ignore {ignored}", count=count, ignored=ignored
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the configuration names."""
        return self.config.splits

    def split(self, name: str) -> LabelledPictures:
        """The pictures of "train", "val" or "test"."""
        return FolderLabels(self.config, name, self.bands, self.scale, self._reader)


def find_masks(config: DataConfig, split: str) -> list[tuple[Path, Masks]]:
    """(picture, masks) of a split, sorted by name.

    Raises:
        InputError: No picture, a picture without its masks, or two with the same.
    """
    how = config.overlapping
    assert how is not None
    if how.how != "files":
        return [(picture, (mask,)) for picture, mask in find_pairs(config, split)]
    masks_dir = config.folders(split)[1]
    masks = _Listing(masks_dir, how.names)
    found: dict[str, tuple[Path, Masks]] = {}
    for picture, place in _pictures(config, split, how.names):
        if place in found:
            raise InputError(
                f"{config.file}: {found[place][0]} and {picture} have the same masks; rename or"
                " remove one"
            )
        of_it = tuple(
            _mask(config, picture, masks, how.names.mask_of(place, name))
            for name in config.classes.names
        )
        found[place] = picture, of_it
    if not any(mask for _, of_it in found.values() for mask in of_it):
        name = config.classes.names[0]
        raise InputError(
            f"{config.file}: no picture of {split!r} has any mask, as"
            f" {masks_dir / how.names.mask_of(next(iter(found)), name)}; check `masks:`"
        )
    return list(found.values())


def _pictures(config: DataConfig, split: str, names: LabelFiles) -> list[tuple[Path, str]]:
    """The pictures, and what the star stands for in the names of their masks."""
    pictures_dir, masks_dir = config.folders(split)
    before, after = names.pictures.split("*")
    found = []
    for file in files_in(pictures_dir, PICTURE_SUFFIXES):
        place = file.relative_to(pictures_dir)
        if pictures_dir == masks_dir and names.is_mask(place, config.classes.names):
            continue
        name = file.name if Path(after).suffix or after.startswith(".") else file.stem
        if len(name) <= len(before) + len(after):
            continue
        if name.startswith(before) and name.endswith(after):
            star = name[len(before) : len(name) - len(after)]
            found.append((file, (place.parent / star).as_posix()))
    if not found:
        raise InputError(
            f"{config.file}: {split!r} has no picture in {pictures_dir} called {names.pictures};"
            " check the folder"
        )
    return found


class _Listing:
    """Files by their place below a folder; folders are read once, and links are followed."""

    def __init__(self, folder: Path, names: LabelFiles) -> None:
        self.folder, self.suffixed = folder, bool(Path(names.masks).suffix)
        self._read: dict[Path, dict[str, list[Path]]] = {}

    def at(self, place: str) -> list[Path]:
        """The masks of that place, whatever their suffix where the pattern has none."""
        wanted = self.folder / place
        if wanted.parent not in self._read:
            known: dict[str, list[Path]] = {}
            for file in sorted(wanted.parent.iterdir()) if wanted.parent.is_dir() else ():
                if file.suffix.lower() in NUMBER_SUFFIXES | JPEG:
                    known.setdefault(file.name if self.suffixed else file.stem, []).append(file)
            self._read[wanted.parent] = known
        return self._read[wanted.parent].get(wanted.name, [])


def _mask(config: DataConfig, picture: Path, masks: _Listing, place: str) -> Path | None:
    of_it = masks.at(place)
    if len(of_it) > 1:
        listed = " and ".join(file.name for file in of_it)
        raise InputError(f"{config.file}: {picture} has several masks; keep one of {listed}")
    if of_it and of_it[0].suffix.lower() in JPEG:
        raise InputError(f"{of_it[0]}: is a JPEG, which blurs labels; save the mask as PNG")
    assert config.overlapping is not None
    if not of_it and config.overlapping.missing == "error":
        wanted = place if Path(place).suffix.lower() in NUMBER_SUFFIXES else f"{place}.png"
        raise InputError(
            f"{config.file}: {picture} has no mask {masks.folder / wanted} (.tif, .npy); save it,"
            ' name the files in `masks:` as "*_{name}.png", or write missing_masks: empty'
        )
    return of_it[0] if of_it else None


def _check_size(mask: Path, found: ndarray, picture: Path, size: tuple[int, int]) -> None:
    if found.shape[-2:] != size:
        raise InputError(
            f"{mask}: {found.shape[-2]} x {found.shape[-1]} pixels (height x width), but its"
            f" picture {picture} has {size[0]} x {size[1]} (after its EXIF rotation, if any); make"
            " them equal"
        )


def _check_sum(masks: Masks) -> int:
    total = 0
    for mask in masks:
        total = zlib.crc32(b"none" if mask is None else mask.read_bytes(), total)
    return total
