"""Picture and mask files: 8-bit formats, 16-bit PNG, TIFF with any number of bands."""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, UInt8, UInt16
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from pixelwise.data import tiff
from pixelwise.errors import InputError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff"})
# Cameras turn the sensor and say so in EXIF; in other formats the entry is not to be relied on.
CAMERA_FORMATS = frozenset({"JPEG", "MPO", "WEBP"})
SIDEWAYS = frozenset({5, 6, 7, 8})
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, RuntimeError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

T = TypeVar("T")
RawImage = UInt8[Tensor, "c h w"] | UInt16[Tensor, "c h w"] | Float32[Tensor, "c h w"]


@dataclass(frozen=True)
class Header:
    """What a picture file says about itself before any pixel is decoded."""

    height: int
    width: int
    bands: int
    dtype: str

    @property
    def scale(self) -> float:
        """The raw value that means 1.0: 255, 65535, or 1 for floats."""
        return white(getattr(torch, self.dtype))


def white(dtype: torch.dtype) -> float:
    """The raw value that means 1.0: 255 or 65535 by type, 1 for floats."""
    return {torch.uint8: 255.0, torch.uint16: 65535.0}.get(dtype, 1.0)


def read_header(path: Path) -> Header:
    """Size, bands and type of a picture, as `read_image` will return it, without decoding it.

    Raises:
        InputError: The file is missing, no picture, or of a type that is not supported.
    """
    return _guarded(path, _header)


def read_image(
    path: Path, bands: Sequence[int] | None = None, channels: int | None = None
) -> RawImage:
    """The raw values of a picture, (c, h, w).

    An EXIF rotation is applied. Palette pictures become colour; transparency is dropped unless
    `bands` asks for it.

    Args:
        path: JPEG, PNG (8 or 16 bit), BMP, WebP or TIFF (uint8, uint16 or float32).
        bands: Which bands of the file, counted from 0, in which order; all by default.
        channels: How many bands the result must have. Grey becomes colour and, in 8-bit
            pictures, colour becomes grey to fit.

    Raises:
        InputError: The file is missing, damaged or not a picture, or has other bands.
    """

    def read(file: Path) -> NDArray[Any]:
        if file.suffix.lower() in tiff.SUFFIXES:
            return tiff.read(file)
        if _is_deep_png(file):
            return _deep_png(file, keep_alpha=bands is not None)
        return _shallow(file, keep_alpha=bands is not None, channels=channels)

    raw = _guarded(path, read)
    if bands is not None:
        absent = [band for band in bands if not 0 <= band < len(raw)]
        if absent:
            raise InputError(
                f"{path}: there is no band {absent[0]}; it has {len(raw)}, counted from 0"
            )
        raw = raw[list(bands)]
    elif channels == 3 and len(raw) == 1:
        raw = np.repeat(raw, 3, axis=0)
    if channels is not None and len(raw) != channels:
        raise InputError(
            f"{path}: has {len(raw)} bands, but {channels} are expected; choose with `bands`, "
            f"e.g. bands: {list(range(channels))}"
        )
    return torch.from_numpy(np.ascontiguousarray(raw))


def read_mask(path: Path, *, colours: bool = False) -> NDArray[Any]:
    """The raw values of a mask: (h, w), or (h, w, 3) for a colour picture.

    A PNG with a palette gives its indices, or its colours if `colours` is set.

    Raises:
        InputError: The file is missing, damaged, no mask, or holds no whole numbers.
    """

    def read(file: Path) -> NDArray[Any]:
        if file.suffix.lower() in tiff.SUFFIXES:
            raw = np.moveaxis(tiff.read(file, mask=True), 0, 2)
            return raw[..., 0] if raw.shape[2] == 1 else raw[..., :3]
        with Image.open(file) as image:
            if colours:
                return np.array(image.convert("RGB"))
            if image.mode in {"LA", "PA"}:
                return np.array(image.getchannel(0))
            if image.mode in {"1", "L", "P", "I", "I;16", "I;16B"}:
                raw = np.array(image)
                return raw.astype(np.uint8) if raw.dtype == bool else raw
            return np.array(image.convert("RGB"))

    return _guarded(path, read)


def _guarded(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: too large to read at once; cut it into tiles") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read ({reason}); replace the damaged file or convert it to PNG"
        ) from error


def _header(path: Path) -> Header:
    if path.suffix.lower() in tiff.SUFFIXES:
        bands, height, width, dtype = tiff.describe(path)
        return Header(height, width, bands, dtype)
    with Image.open(path) as image:
        width, height = image.size
        if image.format in CAMERA_FORMATS and image.getexif().get(0x0112) in SIDEWAYS:
            width, height = height, width
        grey = image.mode in {"1", "L", "LA", "I", "I;16", "I;16B"}
    return Header(height, width, 1 if grey else 3, "uint16" if _is_deep_png(path) else "uint8")


def _is_deep_png(path: Path) -> bool:
    """Whether the file is a PNG with 16 bits per value, which Pillow would cut to 8 in colour."""
    with path.open("rb") as file:
        start = file.read(26)
    return start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:25] == b"\x10"


def _deep_png(path: Path, *, keep_alpha: bool) -> NDArray[Any]:
    """All 16 bits: Pillow keeps one byte of each value in colour, so decode once for each."""
    halves = []
    for order in ("B", "L"):
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return np.array(image)[None]
            # Read in the other byte order, the byte that is kept is the low one.
            image.tile = [
                tile._replace(args=f"{str(tile.args)[:-1]}{order}") for tile in image.tile
            ]
            halves.append(np.array(image).astype(np.uint16))
    raw = np.moveaxis(halves[0] << 8 | halves[1], 2, 0)
    return raw if keep_alpha else raw[:3]


def _shallow(path: Path, *, keep_alpha: bool, channels: int | None) -> NDArray[Any]:
    with Image.open(path) as image:
        if image.format in CAMERA_FORMATS:
            ImageOps.exif_transpose(image, in_place=True)
        if keep_alpha and image.mode == "RGBA":
            mode = "RGBA"
        elif channels in {1, 3} and not keep_alpha:
            mode = "L" if channels == 1 else "RGB"
        else:
            mode = "L" if image.mode in {"1", "L", "LA"} else "RGB"
        raw = np.array(image if image.mode == mode else image.convert(mode))
    return raw[None] if raw.ndim == 2 else np.moveaxis(raw, 2, 0)
