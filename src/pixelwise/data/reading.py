"""The one door for picture and mask files: their values, and where they have none.

The format is looked at, not the suffix. Training, evaluation, prediction and explanation read here.
"""

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped, UInt8, UInt16
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pixelwise.data import bitmaps, tiff
from pixelwise.data.decoded import Decoded, Header
from pixelwise.data.missing import find_missing
from pixelwise.errors import InputError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff"})
NUMBER_SUFFIXES = MASK_SUFFIXES | {".npy"}
"""Of masks that hold numbers in place of classes."""
NPY = b"\x93NUMPY"
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, RuntimeError,
    AttributeError, AssertionError, ArithmeticError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow and tifffile raise about damaged files."""

T = TypeVar("T")
RawImage = UInt8[Tensor, "c h w"] | UInt16[Tensor, "c h w"] | Float32[Tensor, "c h w"]


@dataclass(frozen=True)
class Picture:
    """A picture as it was read.

    Args:
        values: Raw values: uint8 and uint16 as they are, all other types as float32.
        missing: Pixels without data; None where every pixel has some.
        dtype: The type in the file, as numpy names it.
    """

    values: RawImage
    missing: Bool[Tensor, "h w"] | None
    dtype: str

    @classmethod
    def of(cls, values: RawImage, missing: Bool[Tensor, "h w"] | None, dtype: str) -> "Picture":
        """A picture whose type, where it is empty, is that of its values."""
        return cls(values, missing, dtype or str(values.dtype).removeprefix("torch."))


def read_header(path: Path, max_megapixels: float = bitmaps.MAX_MEGAPIXELS) -> Header:
    """Size, bands and type of a picture, as `read_picture` will return it, without decoding it.

    Raises:
        InputError: The file is missing, no picture, or of a type that is not supported.
    """
    return _guarded(
        path,
        lambda file: (
            tiff.describe(file) if _is_tiff(file) else bitmaps.describe(file, max_megapixels)
        ),
    )


def read_picture(
    path: Path,
    bands: Sequence[int] | None = None,
    channels: int | None = None,
    *,
    nodata: Sequence[float] = (),
    max_megapixels: float = bitmaps.MAX_MEGAPIXELS,
) -> Picture:
    """The raw values of a picture, and which of its pixels have none.

    An EXIF rotation is applied, palettes become colour. Transparency is a band only where `bands`
    asks for it; else fully transparent pixels are without data.

    Args:
        path: JPEG, PNG, BMP, WebP, GIF or TIFF.
        bands: Which bands of the file, counted from 0, in which order; by default all.
        channels: How many bands the result must have. Grey becomes colour and, in 8-bit
            pictures, colour becomes grey to fit.
        nodata: Values that mean "no data", beside the one that the file names.
        max_megapixels: Larger pictures are refused, unless they are TIFFs.

    Raises:
        InputError: The file is missing, damaged or not a picture, or has other bands.
    """
    found = _guarded(
        path,
        lambda file: tiff.read(file) if _is_tiff(file) else bitmaps.read(file, max_megapixels),
    )
    return as_picture(path, found, bands, channels, nodata)


def as_picture(
    path: Path,
    found: Decoded,
    bands: Sequence[int] | None,
    channels: int | None,
    nodata: Sequence[float] = (),
) -> Picture:
    """What `read_picture` makes of the numbers of a file, or of a part of it.

    Raises:
        InputError: The file has other bands, or values that cannot be kept.
    """
    raw, hidden = _chosen(path, found, bands)
    numbers = [*nodata] if found.nodata is None else [*nodata, found.nodata]
    missing = find_missing(raw, numbers)
    for more in (hidden, found.empty):
        if more is not None and more.any():
            missing = more if missing is None else missing | more
    dtype = raw.dtype.name
    raw = _fitting(raw, channels, convert=bands is None)
    if channels is not None and len(raw) != channels:
        raise InputError(
            f"{path}: has {len(raw)} bands, but {channels} are expected; choose with `bands` in "
            f"data.yaml, e.g. bands: {list(range(channels))}, or save a file with {channels}"
        )
    values = torch.from_numpy(np.ascontiguousarray(_supported(path, raw, missing)))
    return Picture(values, None if missing is None else torch.from_numpy(missing.copy()), dtype)


def read_mask(
    path: Path, *, colours: bool = False, max_megapixels: float = bitmaps.MAX_MEGAPIXELS
) -> NDArray[Any]:
    """The raw values of a mask: (h, w), or (h, w, 3) for a colour picture.

    A palette gives its indices, or its colours if `colours` is set. Values stand as they are in
    the file, whichever of them it shows as white.

    Raises:
        InputError: The file is missing, damaged, no mask, or holds no whole numbers.
    """

    def read(file: Path) -> NDArray[Any]:
        if not _is_tiff(file):
            return bitmaps.read_mask(file, max_megapixels, colours=colours)
        raw = tiff.read_mask(file, colours=colours)
        if len(raw) == 4:  # colour and transparency
            raw = raw[:3]
        if len(raw) not in {1, 3}:
            raise InputError(f"{file}: has {len(raw)} bands; a mask has one, or three of colour")
        return raw[0] if len(raw) == 1 else np.moveaxis(raw, 0, 2)

    return _guarded(path, read)


def read_numbers(
    path: Path, max_megapixels: float = bitmaps.MAX_MEGAPIXELS
) -> Shaped[np.ndarray, "k h w"]:
    """The numbers of a mask that holds some, band by band, as they are in the file.

    Args:
        path: TIFF, PNG, BMP, or NPY of shape (h, w) or (h, w, k).
        max_megapixels: Larger bitmaps are refused.

    Raises:
        InputError: The file is missing, damaged, lossy, or holds no numbers.
    """

    def read(file: Path) -> NDArray[Any]:
        if _is_tiff(file):
            return tiff.read_mask(file, colours=False, floats=True)
        with file.open("rb") as start:
            is_npy = start.read(len(NPY)) == NPY
        raw = np.load(file) if is_npy else bitmaps.read_mask(file, max_megapixels, colours=False)
        if raw.ndim not in (2, 3) or not raw.size or raw.dtype.kind not in "biuf":
            raise InputError(
                f"{file}: holds {raw.dtype} of shape {raw.shape}; save numbers of shape (rows,"
                " columns) or (rows, columns, bands)"
            )
        return raw[None] if raw.ndim == 2 else np.moveaxis(raw, 2, 0)

    return _guarded(path, read)


def read_mask_nodata(path: Path) -> float | None:
    """The value that a mask's file names as "no data", if it does."""
    return _guarded(path, lambda file: tiff.mask_nodata(file) if _is_tiff(file) else None)


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in tiff.MAGIC


def _chosen(
    path: Path, found: Decoded, bands: Sequence[int] | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The bands that count, and where a transparency that is none of them hides the picture."""
    samples, alpha = found.samples, found.alpha
    if bands is None:
        bands = [band for band in range(len(samples)) if band != alpha]
    absent = [band for band in bands if not 0 <= band < len(samples)]
    if absent:
        raise InputError(
            f"{path}: there is no band {absent[0]}; it has {len(samples)}, counted from 0"
        )
    hidden = None if alpha is None or alpha in bands else samples[alpha] == 0
    return (samples if len(bands) == len(samples) else samples[[*bands]]), hidden


def _fitting(raw: NDArray[Any], channels: int | None, *, convert: bool) -> NDArray[Any]:
    if convert and channels == 3 and len(raw) == 1:
        return np.repeat(raw, 3, axis=0)
    if convert and channels == 1 and len(raw) == 3 and raw.dtype == np.uint8:
        colour = Image.fromarray(np.ascontiguousarray(np.moveaxis(raw, 0, 2)))
        return np.array(colour.convert("L"))[None]
    return raw


def _supported(
    path: Path, raw: NDArray[Any], missing: NDArray[np.bool_] | None
) -> NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]:
    """Values in a type that pictures have here: exact, or rounded where that changes nothing."""
    if raw.dtype in (np.uint8, np.uint16, np.float32):
        return raw
    if raw.dtype.kind not in "iuf":
        raise InputError(f"{path}: holds {raw.dtype}, not whole or real numbers; convert it")
    with np.errstate(over="ignore"):
        values = raw.astype(np.float32)
    kept, stored = (raw, values) if missing is None else (raw[:, ~missing], values[:, ~missing])
    exact = kept.astype(np.float64)
    spread = float(np.ptp(exact)) if exact.size else 0.0
    lost = np.abs(stored - exact).max(initial=0)
    if not lost <= (0 if raw.dtype.kind in "iu" else 1e-5 * spread):
        raise InputError(
            f"{path}: holds {raw.dtype} values up to {np.abs(exact).max():g} that float32 cannot "
            "tell apart; subtract an offset or rescale it"
        )
    return values


def _guarded(path: Path, read: Callable[[Path], T]) -> T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow on damaged tags; what matters is an error
            return read(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (MemoryError, Image.DecompressionBombError):
        raise InputError(f"{path}: too large to read at once; cut it into tiles") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read ({reason}); replace the damaged file or convert it to PNG"
        ) from error
