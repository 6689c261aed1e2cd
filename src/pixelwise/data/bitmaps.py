"""Pictures that are no TIFF: PNG of any depth, JPEG, BMP, WebP and GIF, whatever their suffix."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pixelwise.data.decoded import Decoded, Header
from pixelwise.errors import InputError
from pixelwise.image_files import open_image

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
# Cameras turn the sensor and say so in EXIF; in other formats the entry is not to be relied on.
CAMERA_FORMATS = frozenset({"JPEG", "MPO", "WEBP"})
STILL = frozenset({"JPEG", "MPO"})  # the further frames of an MPO are previews or another eye's
SIDEWAYS = frozenset({5, 6, 7, 8})
GREY = frozenset({"1", "L", "LA", "I;16", "I"})
MAX_MEGAPIXELS = 179.0
"""What is read without being asked for: a small damaged file may claim any size."""


def describe(path: Path, limit: float) -> Header:
    """Size, bands and type without decoding."""
    depth, grey = _png_kind(path)
    with opened(path, limit) as image:
        width, height = image.size
        if image.format in CAMERA_FORMATS and image.getexif().get(0x0112) in SIDEWAYS:
            width, height = height, width
        bands = 1 if grey or image.mode in GREY else 3
    return Header(height, width, bands, "uint16" if depth == 16 else "uint8")


def read(path: Path, limit: float) -> Decoded:
    """Grey or colours, and transparency as the last sample where there is some."""
    if _png_kind(path)[0] == 16:
        with opened(path, limit):
            return _deep(path)
    with opened(path, limit) as image:
        if image.format in CAMERA_FORMATS:
            ImageOps.exif_transpose(image, in_place=True)
        clear = "transparency" in image.info or image.mode in {"LA", "PA", "RGBA", "RGBa", "La"}
        mode = ("L" if image.mode in GREY else "RGB") + ("A" if clear else "")
        raw = np.array(image if image.mode == mode else image.convert(mode))
    raw = raw[None] if raw.ndim == 2 else np.moveaxis(raw, 2, 0)
    return Decoded(raw, len(raw) - 1 if clear else None)


def read_mask(path: Path, limit: float, *, colours: bool) -> NDArray[Any]:
    """(h, w) of numbers or of indices, or (h, w, 3) of colours."""
    depth, _ = _png_kind(path)
    with opened(path, limit) as image:
        if image.format in STILL or (image.format == "WEBP" and not _is_lossless(path)):
            raise InputError(
                f"{path}: is a {image.format} whatever its name says, which blurs ids; "
                "draw the mask anew and save it as PNG"
            )
        if depth == 16 and not image.mode.startswith("I"):
            return _deep_mask(path)
        if image.mode in {"LA", "PA", "RGBA"}:
            _check_alpha(path, np.array(image.convert("RGBA")))
        if colours:
            return np.array(image.convert("RGB"))
        if image.mode in {"LA", "PA"}:
            return np.array(image.getchannel(0))
        if image.mode in {"1", "L", "P", "I", "I;16", "I;16B"}:
            raw = np.array(image)
            if image.mode == "L" and depth in {2, 4}:  # Pillow spreads them over 0..255
                raw //= np.uint8(255 // (2**depth - 1))
            return raw.astype(np.uint8) if raw.dtype == np.bool_ else raw
        return np.array(image.convert("RGB"))


@contextmanager
def opened(path: Path, limit: float) -> Iterator[Image.Image]:
    """A picture of one frame and at most `limit` million pixels."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    try:
        with open_image(path, formats=FORMATS) as image:
            million = image.size[0] * image.size[1] / 1e6
            if million > limit:
                raise InputError(
                    f"{path}: has {million:.0f} million pixels, more than {limit:g}; raise "
                    "max_megapixels, or save it as TIFF"
                )
            frames = 1 if image.format in STILL else getattr(image, "n_frames", 1)
            if frames > 1:
                raise InputError(f"{path}: holds {frames} frames; save the one that is meant")
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _png_kind(path: Path) -> tuple[int, bool]:
    """Bits per value of a PNG and whether it is grey; 0 for other formats."""
    with path.open("rb") as file:
        start = file.read(26)
    if start[:8] != b"\x89PNG\r\n\x1a\n" or len(start) < 26:
        return 0, False
    return start[24], start[25] in {0, 4}


def _is_lossless(path: Path) -> bool:
    with path.open("rb") as file:
        return b"VP8L" in file.read(64)


def _deep(path: Path) -> Decoded:
    """All 16 bits: Pillow keeps one byte of each value in colour, so decode once for each."""
    halves = []
    for order in ("B", "L"):
        with open_image(path, formats=FORMATS) as image:
            clear = image.info.get("transparency")
            if image.mode.startswith("I"):
                values = np.array(image).astype(np.uint16)
                return Decoded(values[None], empty=None if clear is None else values == clear)
            if str(image.tile[0].args).startswith("LA"):
                # Grey and transparency of two bytes each are as long as four bytes of colour.
                image.tile = [tile._replace(args="RGBA") for tile in image.tile]
                pair = np.array(image).astype(np.uint16)
                return Decoded(np.moveaxis(pair[..., ::2] << 8 | pair[..., 1::2], 2, 0), 1)
            # Read in the other byte order, the byte that is kept is the low one.
            image.tile = [
                tile._replace(args=f"{str(tile.args)[:-1]}{order}") for tile in image.tile
            ]
            halves.append(np.array(image).astype(np.uint16))
    raw = np.moveaxis(halves[0] << 8 | halves[1], 2, 0)
    if len(raw) == 4:
        return Decoded(raw, 3)
    empty = None if clear is None else (raw == np.array(clear)[:, None, None]).all(0)
    return Decoded(raw, empty=empty)


def _deep_mask(path: Path) -> NDArray[Any]:
    raw = _deep(path).samples
    if len(raw) == 2:
        return raw[0]
    if (raw % 257).any():
        raise InputError(f"{path}: has colours of 16 bits; save the mask with 8 bits")
    return np.moveaxis(raw[:3] // 257, 0, 2).astype(np.uint8)


def _check_alpha(path: Path, rgba: NDArray[np.uint8]) -> None:
    flat = rgba.reshape(-1, 4)
    if (flat[:, :3] == flat[0, :3]).all() and (flat[:, 3] != flat[0, 3]).any():
        raise InputError(
            f"{path}: is of one colour, only its transparency varies; save that as grey values"
        )
