"""Windows of neighbours along one axis: which places a query sees, and tiles of such queries.

A query at i of n sees the places start_i, start_i + d, ... start_i + (k - 1) d that lie from 0 to
last_i. Queries of one remainder by d are neighbours of each other; `side` of them in a row are a
tile, and all they see is its halo.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from pixelwise.ops.cells import parted


class Window(NamedTuple):
    """The windows of all queries of an axis."""

    start: Int[Tensor, " n"]
    """The first place of each; it does not fall from one query to the next of its remainder."""
    last: Int[Tensor, " n"]
    """The last place that each may see."""
    kernel_size: int
    dilation: int
    stride: int = 1
    """So many places at most are between the starts of neighbours, and none in between."""

    def places(self) -> list[Int[Tensor, " n"]]:
        """The first, second, ... place of each query's window; some may lie outside."""
        return [self.start + step * self.dilation for step in range(self.kernel_size)]

    def inside(self) -> Bool[Tensor, "k n"]:
        """Which of `places` a query does see."""
        places = torch.stack(self.places())
        return (places >= 0) & (places <= self.last)

    def at(self, place: int) -> tuple[Int[Tensor, " k"], Bool[Tensor, " k"]]:
        """The places of one query's window, and which of them it does see."""
        own = torch.arange(self.kernel_size, device=self.start.device) * self.dilation
        own = own + self.start[place]
        return own, (own >= 0) & (own <= self.last[place])


class Tiles(NamedTuple):
    """The queries of an axis in tiles."""

    queries: Int[Tensor, "tiles side"]
    """Of a tile that is not full, the last one repeats."""
    real: Bool[Tensor, "tiles side"]
    """Which do not repeat."""
    keys: Int[Tensor, "tiles halo"]
    seen: Bool[Tensor, "tiles side halo"]
    """Which keys of the halo a query sees."""
    tile: Int[Tensor, " n"]
    """The tile of each query ..."""
    slot: Int[Tensor, " n"]
    """... and its place in there."""


def tiled(window: Window, keys: int, side: int) -> Tiles:
    """The tiles of `side` queries, where there are so many keys."""
    n, d, device = len(window.start), window.dilation, window.start.device
    per_group = -(-n // (d * side))
    tile = torch.arange(d * per_group, device=device)
    group, first = tile // per_group, tile % per_group * side
    steps = (first[:, None] + torch.arange(side, device=device)) * d
    real = group[:, None] + steps < n
    group = group.clamp(max=n - 1)[:, None]  # of more groups than queries the last are empty
    queries = torch.minimum(group + steps, group + (n - 1 - group) // d * d)
    start, last = window.start[queries], window.last[queries]
    halo = side + window.kernel_size + window.stride - 2
    place = start[:, :1] + torch.arange(halo, device=device) * d
    after = place[:, None] - start[..., None]
    seen = (after >= 0) & (after < window.kernel_size * d)
    seen &= (place[:, None] >= 0) & (place[:, None] <= last[..., None])
    own = torch.arange(n, device=device)
    number = own // d
    tile = own % d * per_group + number // side
    return Tiles(queries, real, place.clamp(0, keys - 1), seen, tile, number % side)


def neighbourhood(
    size: Any, kernel_size: int, dilation: int, stride: int, causal: bool, device: torch.device
) -> Window:
    """Windows that move inwards at the ends of the axis; causal ones end at the query itself.

    Of the places with the query's remainder by the dilation, k neighbours are seen, or all where
    there are fewer. With a stride, that many queries in a row share the window of their middle one
    (causal: the last one's).
    """
    place = torch.arange(size, device=device)
    own, group = parted(place, dilation)
    count = (size - group + dilation - 1) // dilation  # places of this remainder
    shared = own // stride * stride
    if causal:
        start = torch.minimum(shared + (stride - 1), count - 1) - (kernel_size - 1)
        last = place
    else:
        centre = torch.minimum(shared + stride // 2, count - 1)
        start = torch.minimum(centre - kernel_size // 2, count - kernel_size).clamp(min=0)
        last = torch.zeros_like(place) + (size - 1)
    return Window(start * dilation + group, last, kernel_size, dilation, stride)
