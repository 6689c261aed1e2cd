"""Pictures larger than memory allows: predict overlapping tiles and blend them.

    logits(p) = sum_t w_t(p) logits_t(p)                 over the tiles t that hold pixel p
    w_t(p)    = g_t(row) g_t(column) / sum_t g_t(row) g_t(column)
    g_t(i)    = sin^2(pi (i + 1/2) / size)               for pixel i of a tile: smooth, never 0

Every tile has the same size and lies inside the picture: none is padded. Rows and columns of tiles
form a grid, so the weights are shared out per axis, and a row of tiles can be handed over as soon
as no later tile reaches it.
"""

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from pixelwise.errors import InputError

Predictor = Callable[[Tensor], Tensor]
"""Pictures (n, c, h, w) -> logits (n, k, h, w): a network, or a function around one."""


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where the tiles begin along an axis of `length` pixels, spread evenly from end to end.

    Args:
        length: Pixels along the axis.
        tile: Pixels per tile, 1..length.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).
    """
    stride = max(1, math.floor(tile * (1 - overlap)))
    gaps = math.ceil((length - tile) / stride)
    return [round(i * (length - tile) / gaps) for i in range(gaps)] + [length - tile]


def tile_weights(length: int, tile: int, starts: list[int]) -> Float[Tensor, "tiles {tile}"]:
    """The weight of each tile at each of its pixels, one axis; over the tiles they sum to 1."""
    bump = torch.sin(torch.pi * (torch.arange(tile, dtype=torch.float64) + 0.5) / tile) ** 2
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + tile] += bump
    return torch.stack([bump / total[start : start + tile] for start in starts])


@torch.no_grad()
def predict_bands(
    model: Predictor,
    image: Shaped[Tensor, "n c h w"],
    *,
    window: tuple[int, int] | None,
    overlap: float = 0.25,
) -> Iterator[Float[Tensor, "n k rows columns"]]:
    """Predict from top to bottom and hand over the logits in bands of finished rows.

    Beside the picture, at most two rows of tiles are in memory: `2 * n * k * window[0] * w`
    numbers, however tall the picture is.

    Args:
        model: Called on tiles of the picture; a network should be in eval mode.
        image: What `model` takes, of any data type.
        window: Largest (height, width) of a tile in pixels. None, or a picture that fits: one
            plain call, its result untouched.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).

    Raises:
        InputError: a window smaller than one pixel, or an overlap outside [0, 1).
    """
    height, width = image.shape[-2:]
    h, w = (height, width) if window is None else window
    if h < 1 or w < 1:
        raise InputError(f"window={window}: must be at least 1 pixel; e.g. (1024, 1024)")
    if not 0 <= overlap < 1:
        raise InputError(f"overlap={overlap}: must be at least 0 and below 1; e.g. 0.25")
    h, w = min(h, height), min(w, width)
    if (h, w) == (height, width):
        yield model(image)
        return
    tops, lefts = tile_starts(height, h, overlap), tile_starts(width, w, overlap)
    rows, columns = tile_weights(height, h, tops), tile_weights(width, w, lefts)
    band: Tensor | None = None
    for top, below, row in zip(tops, [*tops[1:], height], rows, strict=True):
        for left, column in zip(lefts, columns, strict=True):
            logits = model(image[..., top : top + h, left : left + w])
            dtype = torch.promote_types(logits.dtype, torch.float32)
            if band is None:
                band = logits.new_zeros(*logits.shape[:2], h, width, dtype=dtype)
            band[..., left : left + w] += logits * torch.outer(row, column).to(band)
        assert band is not None
        finished = below - top
        yield band[:, :, :finished]
        band = torch.cat([band[:, :, finished:], torch.zeros_like(band[:, :, :finished])], dim=2)


def predict_logits(
    model: Predictor,
    image: Float[Tensor, "n c h w"],
    *,
    window: tuple[int, int] | None,
    overlap: float = 0.25,
) -> Float[Tensor, "n k i j"]:
    """Logits of a picture of any size, predicted in overlapping tiles and blended.

    A picture that fits in the window takes one plain call. Arguments and errors are those of
    `predict_bands`, which needs less memory where the logits can be used band by band.
    """
    return torch.cat(list(predict_bands(model, image, window=window, overlap=overlap)), dim=2)
