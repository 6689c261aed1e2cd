"""Masks in colour: beside a picture, over it, and as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from PIL import Image
from torch import Tensor

from pixelwise.data.classes import Colour
from pixelwise.errors import InputError
from pixelwise.pictures.colours import IGNORED, WRONG
from pixelwise.pictures.files import encoded, write_bytes
from pixelwise.pictures.types import Mask, Picture


def displayable(image: Shaped[Tensor, "c h w"]) -> Picture:
    """Raw values as a picture to look at: the first three bands, or the first one as grey.

    8-bit bands are shown as they are; in others percentiles 2..98 of each band become 0..255, and
    values that are not finite become 0.
    """
    bands = image[: 3 if len(image) >= 3 else 1].numpy()
    if bands.dtype != np.uint8:
        bands = np.stack([_stretched(band) for band in bands.astype(np.float64)])
    return np.ascontiguousarray(np.broadcast_to(bands, (3, *bands.shape[1:])).transpose(1, 2, 0))


def _stretched(band: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    finite = np.isfinite(band)
    if not finite.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[finite], (2, 98))
    filled = np.where(finite, band, low)
    return (np.clip((filled - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)


def write_index_png(
    path: Path, mask: Mask, palette: Sequence[Colour], *, ignore_index: int = 255
) -> None:
    """Write a mask as PNG whose pixels are the class numbers, shown in the palette's colours.

    Ignored pixels are written as 255. More than 255 classes take 16 bits, which have no palette;
    ignored pixels then keep their value.

    Raises:
        InputError: a class without colour, more than 65,535 classes, or a path that cannot be
            written.
    """
    if len(palette) > 65535:
        raise InputError(f"{path}: a PNG holds 65535 classes, not {len(palette)}; merge some")
    _check(mask, palette, ignore_index)
    if len(palette) > 255:
        write_bytes(path, encoded(Image.fromarray(mask.astype(np.uint16))))
        return
    image = Image.fromarray(np.where(mask == ignore_index, 255, mask).astype(np.uint8))
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    table[255] = IGNORED
    image.putpalette(table.tobytes())
    write_bytes(path, encoded(image))


def _check(mask: Mask, palette: Sequence[Colour], ignore_index: int) -> None:
    strange = (mask != ignore_index) & ((mask < 0) | (mask >= len(palette)))
    if strange.any():
        raise InputError(
            f"mask has class {mask[strange][0]}, but the palette has {len(palette)} colours "
            f"(and {ignore_index} for ignored); give every class a colour"
        )


def _colours(mask: Mask, palette: Sequence[Colour], ignore_index: int) -> Picture:
    """The colour of each pixel's class; ignored pixels striped."""
    _check(mask, palette, ignore_index)
    ignored = mask == ignore_index
    table = np.zeros((len(palette) + 1, 4), np.uint8)  # four bytes are looked up as one number
    table[:-1, :3], table[-1, :3] = palette, IGNORED
    numbers = table.view(np.uint32)[:, 0].take(np.where(ignored, len(palette), mask))
    picture = np.ascontiguousarray(numbers[..., None].view(np.uint8)[..., :3])
    if ignored.any():
        picture[ignored & stripes(mask.shape)] = 255
    return picture


def coloured(mask: Mask, palette: Sequence[Colour], *, ignore_index: int = 255) -> Picture:
    """A mask in its palette's colours with white outlines, ignored pixels striped grey."""
    picture = _colours(mask, palette, ignore_index)
    picture[_outlines(mask)] = 255
    return picture


def overlay(
    image: Picture,
    mask: Mask,
    palette: Sequence[Colour],
    alpha: float = 0.5,
    *,
    ignore_index: int = 255,
) -> Picture:
    """A picture tinted by the classes of its pixels; outlines of the classes are opaque.

    Args:
        image: The picture.
        mask: Class of each of its pixels.
        palette: Colour of each class.
        alpha: Weight of the colour, 0 (only the picture) to 1 (only the mask).
        ignore_index: The value of pixels without class; they are striped grey.
    """
    colours = _colours(mask, palette, ignore_index)
    mixed = image * np.float32(1 - alpha)
    mixed += colours * np.float32(alpha)
    tinted = mixed.round(out=mixed).astype(np.uint8)
    outlines = _outlines(mask)
    tinted[outlines] = colours[outlines]
    return tinted


def stripes(size: tuple[int, ...]) -> Bool[np.ndarray, "_ _"]:
    """Every other diagonal stripe of an area of `size` (height, width)."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows + columns) // 4 % 2 == 0


def _outlines(mask: Mask) -> Bool[np.ndarray, "h w"]:
    """The pixels whose right or lower neighbour is of another class."""
    edges = np.zeros(mask.shape, bool)
    edges[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    edges[:-1] |= mask[1:] != mask[:-1]
    return edges


def wrong_pixels(
    image: Picture, truth: Mask, prediction: Mask, *, ignore_index: int = 255
) -> Picture:
    """The picture in dark grey; wrong pixels bright, pixels that do not count striped."""
    grey = (image.mean(2, keepdims=True) * 0.4).astype(np.uint8)
    picture = np.repeat(grey, 3, axis=2)
    picture[(truth != prediction) & (truth != ignore_index)] = WRONG
    picture[(truth == ignore_index) & stripes(truth.shape)] = IGNORED
    return picture
