"""TIFF files: which page is the picture, which axis is what, and what its values mean."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.data import codecs
from pixelwise.data.decoded import Decoded, Header, stretched
from pixelwise.data.missing import find_missing
from pixelwise.errors import InputError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MINISWHITE, PALETTE = 0, 3
PLAIN = frozenset({0, 1, 2, 3, 4, 34892})
"""Photometries whose values need no decoder to become grey or colours."""
ALPHAS = frozenset({1, 2})
SIDEWAYS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True)
class _Layout:
    """The part of a file that is the picture.

    `axes` are those longer than 1, rows and columns; `other` is that of the bands, or empty.
    """

    series: Any
    axes: str
    sizes: dict[str, int]
    other: str
    alpha: int | None
    mask: Any

    @property
    def page(self) -> Any:
        return self.series.keyframe

    @property
    def samples(self) -> int:
        return self.sizes[self.other] if self.other else 1

    @property
    def orientation(self) -> int:
        tag = self.page.tags.get(274)
        return int(tag.value) if tag is not None and isinstance(tag.value, int) else 1


def describe(path: Path) -> Header:
    """Size, bands and type without decoding."""
    with _opened(path) as file:
        layout = _layout(path, file)
        height, width = layout.sizes["Y"], layout.sizes["X"]
        if layout.orientation in SIDEWAYS:
            height, width = width, height
        dtype = np.dtype(layout.series.dtype)
        if layout.page.photometric not in PLAIN or layout.page.photometric == PALETTE:
            return Header(height, width, 3, "uint8")
        bands = layout.samples - (layout.alpha is not None)
        if dtype.kind not in "biuf":
            raise InputError(f"{path}: holds {dtype}, not whole or real numbers; convert it")
        return Header(height, width, bands, "uint8" if dtype.kind == "b" else dtype.name)


def read(path: Path) -> Decoded:
    """A picture as it is to be seen: palettes become colours, white is the largest value."""
    with _opened(path) as file:
        layout = _layout(path, file)
        page, photometric = layout.page, layout.page.photometric
        if photometric not in PLAIN:
            return Decoded(codecs.as_colours(path, page))
        raw, seen = _values(path, layout)
        if photometric == PALETTE:
            if raw.shape[0] != 1 or raw.dtype.kind != "u" or page.colormap is None:
                raise InputError(f"{path}: has a palette for several bands; save it as RGB")
            indices, number = raw[0], nodata(path, page)
            gone = None if number is None else find_missing(indices[None], [number])
            raw, number = _coloured(indices, page.colormap), None
        else:
            gone, number = None, nodata(path, page)
            if photometric == MINISWHITE and "inverted" not in seen:
                raw = _inverted(path, raw, page.bitspersample)
            raw = stretched(raw, page.bitspersample)
        empty = gone
        if layout.mask is not None:
            hidden = np.asarray(layout.mask.asarray()) == 0
            empty = hidden if gone is None else hidden | gone
        if "turned" not in seen:
            raw = _turned(raw, layout.orientation)
            empty = None if empty is None else _turned(empty[None], layout.orientation)[0]
        return Decoded(raw, layout.alpha, empty, number)


def read_mask(path: Path, *, colours: bool, floats: bool = False) -> NDArray[Any]:
    """The numbers of a mask, (bands, h, w), whatever their photometry; a palette's on request.

    Those of class ids are whole; others may be `floats`.
    """
    with _opened(path) as file:
        layout = _layout(path, file)
        page = layout.page
        if page.compression in codecs.LOSSY:
            raise InputError(
                f"{path}: compressed with {page.compression.name}, which blurs "
                f"{'values' if floats else 'ids'}; save the mask with deflate"
            )
        if np.dtype(layout.series.dtype).kind not in ("biuf" if floats else "biu"):
            raise InputError(
                f"{path}: holds {layout.series.dtype}, not {'' if floats else 'whole '}numbers;"
                " convert the mask"
            )
        if page.photometric not in PLAIN:
            raise InputError(f"{path}: has {page.photometric.name} colours; save it as grey or RGB")
        raw, seen = _values(path, layout)
        if "inverted" in seen:
            raw = _inverted(path, raw, page.bitspersample)
        if colours and page.photometric == PALETTE and raw.shape[0] == 1:
            raw = _coloured(raw[0], page.colormap)
        raw = raw.astype(np.uint8) if raw.dtype == np.bool_ else raw
        return raw if "turned" in seen else _turned(raw, layout.orientation)


def mask_nodata(path: Path) -> float | None:
    """The value that GDAL wrote for "no data"."""
    with _opened(path) as file:
        return nodata(path, _layout(path, file).page)


def tags(path: Path, codes: Sequence[int]) -> list[tuple[int, int, int, Any]]:
    """(code, type, count, value) of those tags of a picture that it has.

    None where the file is no TIFF, or is shown turned, so that they do not fit what is read.
    """
    with path.open("rb") as start:
        if start.read(4) not in MAGIC:
            return []
    with _opened(path) as file:
        layout = _layout(path, file)
        if layout.orientation != 1:
            return []
        found = [tag for tag in layout.page.tags if tag.code in codes]
        return [(tag.code, int(tag.dtype), tag.count, tag.value) for tag in found]


def orientation(path: Path) -> int:
    """Which way up the first page is to be shown: 1 as it is, up to 8 turned or mirrored."""
    with _opened(path) as file:
        tag = file.pages[0].tags.get(274)
        return int(tag.value) if tag is not None and isinstance(tag.value, int) else 1


def nodata(path: Path, page: Any) -> float | None:
    """The GDAL_NODATA tag of a page."""
    tag = page.tags.get(42113)
    if tag is None:
        return None
    text = str(tag.value).strip(" \0\r\n\t")
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"{path}: GDAL_NODATA={text!r}: must be a number; correct the tag"
        ) from None


def _opened(path: Path) -> Any:
    import tifffile

    codecs.check_directories(path)
    logger = logging.getLogger("tifffile")
    if not logger.handlers:  # what it has to say about damaged tags is no line for a user
        logger.addHandler(logging.NullHandler())
    return tifffile.TiffFile(path)


def _layout(path: Path, file: Any) -> _Layout:
    series, mask = _chosen(path, file)
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    axes, sizes = "".join(axis for axis, _ in kept), dict(kept)
    others = [axis for axis in axes if axis not in "YX"]
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(others) > 1:
        raise InputError(
            f"{path}: has the axes {series.axes} {tuple(series.shape)}; "
            "save one picture of bands, rows and columns"
        )
    other = others[0] if others else ""
    page = series.keyframe
    if not sizes["Y"] * sizes["X"]:
        raise InputError(f"{path}: has no pixel; replace the file")
    alpha = None
    extras = tuple(int(extra) for extra in page.extrasamples)
    if other and sizes[other] == page.samplesperpixel and ALPHAS & set(extras):
        place = next(i for i, extra in enumerate(extras) if extra in ALPHAS)
        alpha = page.samplesperpixel - len(extras) + place
    if mask is not None and tuple(mask.shape) != (sizes["Y"], sizes["X"]):
        mask = None
    return _Layout(series, axes, sizes, other, alpha, mask)


def _chosen(path: Path, file: Any) -> tuple[Any, Any]:
    """The picture in full size, and the mask of its pixels with data if there is one."""
    whole = [s for s in file.series if not s.keyframe.is_reduced and not s.keyframe.is_mask]
    masks = [s for s in file.series if s.keyframe.is_mask and not s.keyframe.is_reduced]
    if not whole:  # cameras put a preview first and the picture below it
        whole = _below(file)
    if not whole:
        raise InputError(f"{path}: holds only reduced copies of a picture; save the picture itself")
    largest = max(whole, key=lambda series: _size(series)[0] * _size(series)[1])
    rest = [s for s in whole if s is not largest and not _is_copy(s, largest)]
    if rest:
        shapes = ", ".join(" x ".join(map(str, series.shape)) for series in whole[:4])
        raise InputError(
            f"{path}: holds {len(whole)} pictures ({shapes}); save the one that is meant"
        )
    return largest, masks[0].keyframe if masks else None


def _below(file: Any) -> list[Any]:
    import tifffile

    pages = [page for first in file.pages for page in (first.pages or ())]
    full = [page.aspage() for page in pages]
    return [
        tifffile.TiffPageSeries([page], page.shape, page.dtype, page.axes)
        for page in full
        if not page.is_reduced and not page.is_mask
    ]


def _size(series: Any) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes.get("Y", 0), sizes.get("X", 0)


def _is_copy(series: Any, largest: Any) -> bool:
    """Whether a page is a smaller copy that is not marked as one."""
    (height, width), (most_high, most_wide) = _size(series), _size(largest)
    if height >= most_high or min(height, width) < 1:
        return False
    return abs(width - most_wide * height / most_high) <= 1 + 0.02 * width


def _values(path: Path, layout: _Layout) -> tuple[NDArray[Any], frozenset[str]]:
    """The numbers, (samples, h, w), and what decoding has done to them already."""
    codecs.check_memory(path, layout.series.shape, np.dtype(layout.series.dtype))
    try:
        raw = layout.series.asarray()
    except (ValueError, ImportError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
        return codecs.by_pillow(path, layout.series, layout.samples)
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    raw = raw.reshape([layout.sizes[axis] for axis in layout.axes])
    order = [layout.axes.index(axis) for axis in (layout.other, "Y", "X") if axis]
    raw = raw.transpose(order)
    return (raw if layout.other else raw[None]), frozenset()


def _coloured(indices: NDArray[Any], colormap: NDArray[Any]) -> NDArray[np.uint8]:
    """(3, h, w): entries of palettes have 16 bits, though some writers use only 8."""
    table = colormap if colormap.max(initial=0) < 256 else colormap // 257
    return table.astype(np.uint8)[:, np.minimum(indices, table.shape[1] - 1)]


def _inverted(path: Path, raw: NDArray[Any], bits: int) -> NDArray[Any]:
    if raw.dtype == np.bool_:
        return ~raw
    if raw.dtype.kind != "u":
        raise InputError(
            f"{path}: says that its lowest value is white, and holds {raw.dtype}; save it with "
            "black as the lowest"
        )
    return (2**bits - 1 - raw).astype(raw.dtype)


def _turned(raw: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(bands, h, w) the way up that the Orientation tag asks for."""
    if orientation in SIDEWAYS:
        raw = raw.swapaxes(1, 2)
    if orientation in {2, 3, 6, 7}:
        raw = raw[:, :, ::-1]
    if orientation in {3, 4, 7, 8}:
        raw = raw[:, ::-1]
    return raw
