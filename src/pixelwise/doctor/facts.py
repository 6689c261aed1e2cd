"""What is kept of every file: numbers, never pixels, so that memory stays flat."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from pixelwise.data.values import ValueMap
from pixelwise.doctor.fit import Fit

THUMB = 64
"""Rows and columns of the small grey copies that are compared."""


@dataclass(frozen=True)
class Job:
    """A picture and its mask, either of which may be lacking."""

    split: str
    picture: Path | None
    mask: Path | None


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Args:
        values: What raw values of masks mean; None: not known.
        classes: How many classes; 0: not known.
        ignore_index: The id of what does not count.
        nodata: Values of pictures that mean "no data".
        max_megapixels: Larger bitmaps are refused.
        numbers: Masks hold numbers in place of classes.
    """

    values: ValueMap | None
    classes: int
    ignore_index: int
    nodata: tuple[float, ...]
    max_megapixels: float
    numbers: bool = False


@dataclass(frozen=True)
class Container:
    """What a file is outside of its pixels.

    Args:
        format: As Pillow names it; "NPY"; empty: none that is known.
        size: Bytes.
        digest: A check sum of them.
        mode: As Pillow has it, with an A where there is transparency.
        frames: Pictures in it.
        orientation: EXIF's; 1: as it is.
        stored: Rows and columns before any rotation.
        told: What the file rather is, such as "a Git LFS pointer"; empty: nothing special.
        lossy: Compressed so that values are blurred.
    """

    format: str
    size: int
    digest: str
    mode: str = ""
    frames: int = 1
    orientation: int = 1
    stored: tuple[int, int] = (0, 0)
    told: str = ""
    lossy: bool = False


@dataclass(frozen=True, eq=False)
class PictureFacts:
    """A picture.

    Args:
        container: The file.
        error: Why it cannot be read; empty: it can.
        height: Rows as shown; `width` likewise.
        width: Columns.
        bands: Bands, transparency not counted.
        dtype: The type in the file.
        low: The lowest value with data; `high` the highest.
        high: The highest.
        missing: Share of pixels without data.
        nan: Share of pixels that are not finite numbers.
        sentinel: A value that rather means "no data".
        levels: How many different levels it has in grey, of 256.
        thumb: A small grey copy; None: the picture has no contrast.
    """

    container: Container
    error: str = ""
    height: int = 0
    width: int = 0
    bands: int = 0
    dtype: str = ""
    low: float = 0.0
    high: float = 0.0
    missing: float = 0.0
    nan: float = 0.0
    sentinel: float | None = None
    levels: int = 0
    thumb: UInt8[ndarray, "t t"] | None = None


@dataclass(frozen=True, eq=False)
class MaskFacts:
    """A mask.

    Args:
        container: The file.
        error: Why the library refuses it; empty: it does not.
        height: Rows; `width` columns; 0: not even the doctor could read it.
        width: Columns.
        dtype: The type in the file.
        coloured: `values` are colours, 0xrrggbb.
        values: Raw value -> pixels; of many, the most frequent.
        distinct: How many different values there are.
        palette: Raw value -> its colour, of a file with a palette.
        thin: Share of the pixels of 255 that lie within a few pixels of another value.
        counts: Class id -> pixels, where the map is known.
        ignored: Pixels that the map ignores.
        unlisted: Raw value -> pixels, those that the map does not have.
        regions: Class id -> regions of at least 1, 2, 4, ... pixels.
        content: A check sum of the raw values.
        ramps: Raw value -> pixels of it in narrow strips between a lower and a higher value.
        jumps: Places where a value goes over into one that is not next to it.
        low: Of masks of numbers, the lowest; `high` the highest, where any is finite.
        high: The highest.
    """

    container: Container
    error: str = ""
    height: int = 0
    width: int = 0
    dtype: str = ""
    coloured: bool = False
    values: Mapping[int, int] = field(default_factory=dict)
    distinct: int = 0
    palette: Mapping[int, int] = field(default_factory=dict)
    thin: float = 0.0
    counts: tuple[int, ...] = ()
    ignored: int = 0
    unlisted: Mapping[int, int] = field(default_factory=dict)
    regions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    content: str = ""
    ramps: Mapping[int, int] = field(default_factory=dict)
    jumps: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class PairFacts:
    """What was found of a job.

    Args:
        split: "train", "val" or "test".
        picture_name: The file; empty: it is lacking.
        mask_name: Likewise.
        picture: What was found of it.
        mask: Likewise.
        fit: How the mask fits the picture; None: nothing can be said.
        likeness: Correlation of the mask's raw values with the picture, where the mask has many.
    """

    split: str
    picture_name: str
    mask_name: str
    picture: PictureFacts | None
    mask: MaskFacts | None
    fit: Fit | None = None
    likeness: float = 0.0
