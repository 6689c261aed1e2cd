"""Cut a map into cells of one size, and group its pixels by their cell or by their place in it.

    "cell"      one group per cell: the pixels near each other
    "place"     one group per place: the pixels that lie at the same place of all cells

The groups become a batch of their own. Sides that are no multiple of the cell's get zeros around
them, the smaller half first.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Cell = tuple[int, int]

TO_GROUPS = {"cell": (0, 2, 4, 1, 3, 5), "place": (0, 3, 5, 1, 2, 4)}
FROM_GROUPS = {"cell": (0, 3, 1, 4, 2, 5), "place": (0, 3, 4, 1, 5, 2)}


def margins(x: Float[Tensor, "b c h w"], cell: Cell) -> tuple[Cell, Cell]:
    """How many rows of zeros (before, after) fill the last cell, and how many columns."""
    (above, below), (left, right) = (
        (missing // 2, missing - missing // 2)
        for missing in (-size % side for size, side in zip(x.shape[2:], cell, strict=True))
    )
    return (above, below), (left, right)


def pad(x: Float[Tensor, "b c h w"], cell: Cell) -> Float[Tensor, "b c i j"]:
    """`x` with zeros around it, of whole cells."""
    if not torch.compiler.is_compiling():
        rows, columns = margins(x, cell)
        return F.pad(x, (*columns, *rows)) if any((*rows, *columns)) else x
    for axis, side in zip((2, 3), cell, strict=True):  # padding by a free size cannot be exported
        size = x.shape[axis]
        count = (size + side - 1) // side * side
        place = torch.arange(count, device=x.device) - (count - size) // 2
        inside = ((place >= 0) & (place < size)).to(x.dtype)
        x = x.index_select(axis, place.clamp(0, size - 1))
        x = x * (inside[:, None] if axis == 2 else inside)
    return x


def crop(x: Float[Tensor, "b c i j"], like: Float[Tensor, "b k h w"]) -> Float[Tensor, "b c h w"]:
    """Undo `pad`: the middle of `x`, of the height and width of `like`."""
    for axis in (2, 3):
        start, size = (x.shape[axis] - like.shape[axis]) // 2, like.shape[axis]
        if not torch.compiler.is_compiling():
            x = x.narrow(axis, start, size)
        else:
            x = x.index_select(axis, torch.arange(size, device=x.device) + start)
    return x


def six_axes(x: Float[Tensor, "b c h w"], cell: Cell) -> Float[Tensor, "b c i y j x"]:
    """A view with (row, column) of the cell as (i, j), and of the place in it as (y, x)."""
    b, c, h, w = x.shape
    rows, columns = cell
    return x.view(b, c, h // rows, rows, w // columns, columns)


def parted(index: Tensor, count: Any) -> tuple[Tensor, Tensor]:
    """Quotient and remainder; torch's own remainder by a free number has no ONNX form."""
    quotient = index // count
    return quotient, index - quotient * count


def split(x: Float[Tensor, "b c h w"], cell: Cell, by: str) -> Float[Tensor, "g c p"]:
    """The groups of a map of whole cells, `by` "cell" or "place", of p pixels each."""
    if not torch.compiler.is_compiling():
        return six_axes(x, cell).permute(TO_GROUPS[by]).flatten(4).flatten(0, 2)
    (h, w), (rows, columns), places = x.shape[2:], cell, cell[0] * cell[1]
    across = w // columns
    cells = h // rows * across
    outer, inner = (cells, places) if by == "cell" else (places, cells)
    group = torch.arange(x.shape[0] * outer, device=x.device)[:, None]
    (image, group), member = parted(group, outer), torch.arange(inner, device=x.device)
    spot, place = (group, member) if by == "cell" else (member, group)
    (down, right), (below, beside) = parted(spot, across), parted(place, columns)
    row, column = down * rows + below, right * columns + beside
    # Indices and no views: those of a free number of cells, maybe one, cannot be exported.
    return x.flatten(2).mT[image, row * w + column].mT


def join(
    groups: Float[Tensor, "g c p"], like: Float[Tensor, "b k h w"], cell: Cell, by: str
) -> Float[Tensor, "b c h w"]:
    """Undo `split`: the map whose batch, height and width are those of `like`."""
    (b, _, h, w), (rows, columns), c = like.shape, cell, groups.shape[1]
    if not torch.compiler.is_compiling():
        cells = h // rows, w // columns
        outer, inner = (cells, cell) if by == "cell" else (cell, cells)
        six = groups.reshape(b, *outer, c, *inner)
        return six.permute(FROM_GROUPS[by]).reshape(b, c, h, w)
    pixel, across = torch.arange(h * w, device=like.device), w // columns
    row, column = parted(pixel, w)
    spot = row // rows * across + column // columns
    place = row % rows * columns + column % columns
    group, member = (spot, place) if by == "cell" else (place, spot)
    count = h // rows * across if by == "cell" else rows * columns
    image = torch.arange(b, device=like.device)[:, None]
    return groups.mT[image * count + group, member].mT.reshape(b, c, h, w)
