"""Where deformable attention samples a map: a coarse grid of places, moved by what is there.

Places are (row, column) from -1, the first pixel's, to 1, the last one's. For sample j of n,

    r_j = 2 (j + 1/2) / (n - 1) - 1                  by itself; the last one lies beyond 1
    s_j = r_j + f tanh(Wo gelu(norm(Wn * q))_j) / (n - 1)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.reference import ReferenceWeights
from pixelwise.ops.between_pixels import between_pixels, shares
from pixelwise.ops.running.precision import statistics_dtype

Run = Callable[[Any, Tensor], Tensor]


class SamplingPlaces(ReferenceWeights):
    """A grid of places for each group of channels.

    Args:
        channels: Channels of the queries.
        groups: Groups of them, each with places of its own.
        stride: Pixels from one sample to the next.
        kernel_size: Rows and columns of the convolution that moves them; of the stride, or odd.
        reach: How far a sample moves at most, in cells of the grid; negative: all over the map.
        moved: Whether samples move at all.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {"0": "near", "1.norm": "norm", "3": "offset"}

    def __init__(
        self,
        channels: int,
        groups: int,
        *,
        stride: int,
        kernel_size: int,
        reach: int | float,
        moved: bool,
    ) -> None:
        super().__init__()
        self.groups, self.stride, self.kernel_size = groups, stride, kernel_size
        self.reach, self.moved, width = reach, moved, channels // groups
        self.padding = 0 if kernel_size == stride else kernel_size // 2
        if moved:
            self.near = nn.Conv2d(width, width, kernel_size, stride, self.padding, groups=width)
            self.norm = nn.LayerNorm(width)
            self.offset = nn.Linear(width, 2, bias=False)

    def count(self, size: Any) -> Any:
        """Samples along an axis of so many pixels."""
        whole = torch.sym_max(size, self.kernel_size - 2 * self.padding)
        return (whole + 2 * self.padding - self.kernel_size) // self.stride + 1

    def forward(self, query: Float[Tensor, "b c h w"]) -> Float[Tensor, "b g i j 2"]:
        """The places of all samples."""
        return self.chosen(query, _call)

    def lean(self, query: Float[Tensor, "b c h w"]) -> Float[Tensor, "b g i j 2"]:
        """The same in the type of the query, whatever that of the weights."""
        return self.chosen(query, applied)

    def by_themselves(
        self, x: Float[Tensor, "b c h w"], kind: torch.dtype
    ) -> Float[Tensor, "i j 2"]:
        """The places of all samples of a map before they move."""
        return _grid([self.count(size) for size in x.shape[2:]], x.device, kind)

    def chosen(self, query: Tensor, run: Run) -> Tensor:
        """The places, where `run` says what a part makes of its input."""
        kind = statistics_dtype(query)
        if not self.moved:
            places = self.by_themselves(query, kind)
            return places.expand(query.shape[0], self.groups, -1, -1, -1)
        near = torch.unflatten(query, 1, (self.groups, -1)).flatten(0, 1)
        missing = [self.kernel_size - 2 * self.padding - size for size in query.shape[2:]]
        if max(missing) > 0:  # a map below the kernel
            near = F.pad(near, (0, max(0, missing[1]), 0, max(0, missing[0])))
        near = run(self.norm, run(self.near, near).permute(0, 2, 3, 1))
        offset = torch.unflatten(run(self.offset, F.gelu(near)), 0, (-1, self.groups)).to(kind)
        places = _grid(offset.shape[2:4], query.device, kind)
        if self.reach < 0:
            return (places + offset).clamp(-1, 1)
        cells: list[Any] = [torch.sym_max(1, n - 1) for n in places.shape[:2]]
        down, right = offset.tanh().unbind(-1)
        return places + torch.stack([down / cells[0], right / cells[1]], dim=-1) * self.reach

    def read(
        self, x: Float[Tensor, "b c h w"], places: Float[Tensor, "b g i j 2"]
    ) -> Float[Tensor, "b c i j"]:
        """The map at the places of each group; where they do not move, means of cells."""
        if not self.moved:
            cells = F.avg_pool2d(x, self.stride, ceil_mode=True, count_include_pad=False)
            return cells[:, :, : places.shape[2], : places.shape[3]]
        parts = torch.unflatten(x, 1, (self.groups, -1)).flatten(0, 1)
        seen = between_pixels(parts, *_in_pixels(places, x))
        return torch.unflatten(seen, 0, (x.shape[0], -1)).flatten(1, 2)

    def spread(
        self, weights: Float[Tensor, "b m k"], places: Float[Tensor, "b g i j 2"], x: Tensor
    ) -> Float[Tensor, "b m g h w"]:
        """Weights of samples as those of the pixels that each group of them is read from."""
        (height, width), grid = x.shape[2:], places.shape[2:4]
        if self.moved:
            found = shares(*_in_pixels(places, x), (height, width))
            where, part = (
                torch.unflatten(z, 0, (x.shape[0], -1)).flatten(2)[:, None] for z in found
            )
            taken = weights[:, :, None].repeat(1, 1, 1, 4) * part  # (b, m, g, 4 k)
            flat = taken.new_zeros(*taken.shape[:3], height * width)
            flat = flat.scatter_add(3, where.expand_as(taken), taken)
            return torch.unflatten(flat, 3, (height, width))
        cells = torch.unflatten(weights, 2, grid)
        for axis, count in ((2, grid[0]), (3, grid[1])):
            line = torch.arange(x.shape[axis], device=x.device)
            cell = line // self.stride
            size = (x.shape[axis] - cell * self.stride).clamp(max=self.stride)
            share = (cell < count) / size.to(weights.dtype)
            cells = cells.index_select(axis, cell.clamp(max=count - 1))
            cells = cells * (share[:, None] if axis == 2 else share)
        return cells[:, :, None].expand(-1, -1, self.groups, -1, -1)


def _in_pixels(places: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of all places, group by group."""
    rows, columns = places.flatten(0, 1).unbind(-1)
    return pixels(rows, x.shape[2]), pixels(columns, x.shape[3])


def pixels(place: Tensor, size: Any) -> Tensor:
    """Places along an axis of so many pixels, in pixels."""
    return (place + 1) / 2 * (size - 1)


def applied(part: nn.Conv2d | nn.Linear | nn.LayerNorm, x: Tensor) -> Tensor:
    """What a convolution, linear map or layer norm makes of `x`, in the type of `x`."""
    weight = part.weight.to(x.dtype)
    bias = None if part.bias is None else part.bias.to(x.dtype)
    if isinstance(part, nn.Conv2d):
        assert not isinstance(part.padding, str)
        return F.conv2d(x, weight, bias, part.stride, part.padding, part.dilation, part.groups)
    if isinstance(part, nn.LayerNorm):
        return F.layer_norm(x, part.normalized_shape, weight, bias, part.eps)
    return F.linear(x, weight, bias)


def _call(part: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = part(x)
    return found


def _grid(count: Sequence[Any], device: torch.device, kind: torch.dtype) -> Tensor:
    """The places of so many rows and columns of samples; one alone lies in the middle."""
    lines = []
    for n in count:
        number = torch.arange(n, device=device).to(kind)
        lines.append((number + 0.5) / torch.sym_max(1, n - 1) * 2 - 1)
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1)
