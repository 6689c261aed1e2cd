"""What a crop shows of its picture: straight, or through a map of where its pixels come from."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Num, Shaped
from torch import Tensor

from pixelwise.data.augmenting.blur import as_before
from pixelwise.data.augmenting.turning import Places
from pixelwise.data.augmenting.window import Span


@dataclass(frozen=True)
class Seen:
    """A part of a crop, in raw values.

    Args:
        image: Of that part.
        mask: Likewise.
        missing: Pixels without data, or outside of the picture; None: there is none.
        rows: Which rows of the crop it is.
        columns: Likewise.
    """

    image: Shaped[Tensor, "c h w"]
    mask: Shaped[Tensor, "*labels h w"]
    missing: Bool[Tensor, "h w"] | None
    rows: slice
    columns: slice


def straight(
    image: Shaped[Tensor, "c h w"],
    mask: Shaped[Tensor, "*labels h w"],
    missing: Bool[Tensor, "h w"] | None,
    spans: tuple[Span, Span],
) -> Seen:
    """The part of the window that the picture covers, at the crop's size."""
    rows, columns = spans
    places = rows.nearest(), columns.nearest()
    return Seen(
        resized(image[:, rows.source, columns.source], (rows.length, columns.length)),
        mask[..., places[0], :][..., places[1]],
        None if missing is None else missing[places[0]][:, places[1]],
        rows.target,
        columns.target,
    )


def warped(
    image: Shaped[Tensor, "c h w"],
    mask: Shaped[Tensor, "*labels h w"],
    missing: Bool[Tensor, "h w"] | None,
    spans: tuple[Span, Span],
    places: Places,
    outside: int | float,
) -> Seen:
    """The whole crop, each pixel from its place: the mask from the nearest pixel, exactly.

    Args:
        image: The picture.
        mask: Its mask.
        missing: Its pixels without data; None: there is none.
        spans: Which pixels of the picture would be seen straight.
        places: Where each pixel of the crop comes from, in pixels of the crop.
        outside: What stands in masks where nothing is known.
    """
    rows, columns = (_in_picture(p, span) for p, span in zip(places, spans, strict=True))
    height, width = mask.shape[-2:]
    row, column = (torch.from_numpy(np.floor(p).astype(np.int64)) for p in (rows, columns))
    beside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    labels = mask[..., row, column].masked_fill(beside, outside)
    if missing is not None:
        beside = beside | missing[row, column]
    zooms = [span.length / (span.stop - span.start) for span in spans]
    found = _smooth(image, rows, columns, (zooms[0], zooms[1]))
    return Seen(found, labels, beside, slice(0, rows.shape[0]), slice(0, rows.shape[1]))


def _in_picture(places: Float64[np.ndarray, "H W"], span: Span) -> Float64[np.ndarray, "H W"]:
    """Places along one axis of the crop, in pixels of the picture."""
    return span.start + (places - span.target.start) * ((span.stop - span.start) / span.length)


def _smooth(
    image: Num[Tensor, "c h w"],
    rows: Float64[np.ndarray, "H W"],
    columns: Float64[np.ndarray, "H W"],
    zooms: tuple[float, float],
) -> Num[Tensor, "c H W"]:
    """The picture between its pixels; one that is shrunk is averaged first."""
    parts, grid = [], []
    for places, size, zoom in zip((rows, columns), image.shape[1:], zooms, strict=True):
        margin = math.ceil(2 / min(zoom, 1.0))
        start = min(max(0, math.floor(places.min()) - margin), size - 1)
        stop = max(start + 1, min(size, math.ceil(places.max()) + margin))
        parts.append(slice(start, stop))
        grid.append(torch.from_numpy(2 * (places - start) / (stop - start) - 1).float())
    part = image[:, parts[0], parts[1]].float()
    smaller = [
        max(1, round(n * zoom)) if zoom < 1 else n
        for n, zoom in zip(part.shape[1:], zooms, strict=True)
    ]
    part = resized(part, (smaller[0], smaller[1]))
    found = F.grid_sample(
        part[None], torch.stack(grid[::-1], -1)[None], padding_mode="border", align_corners=False
    )[0]
    return as_before(found, image.dtype)


def resized(image: Shaped[Tensor, "c h w"], size: tuple[int, int]) -> Shaped[Tensor, "c H W"]:
    """The picture at another size; 16 bits become numbers with a point then."""
    if image.shape[1:] == size:
        return image
    from torchvision.transforms.v2 import functional

    dtype = image.dtype
    if dtype == torch.uint16 or size == (1, 1):  # PyTorch fails on a single pixel of 8 bits
        image = image.float()
    return as_before(functional.resize(image, list(size), antialias=True), dtype)
