"""Convolution whose kernel reads the map wherever offsets point.

For an output pixel p, taps k at p_k, and channels in groups that share offsets,

    y_p = b + sum_k m_pk W_k x(p_k + o_pk)     x(r): bilinear between pixels, zero outside

Offsets are (row, column) pairs in pixels, tap by tap within each group; factors m are one per tap.

On a GPU it is torchvision's operator, on a CPU the lean form of `deformed_rows`. In a traced graph
a tap is a sampling of a grid and a product, which need no operator of others.
"""

import importlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.ops.deformed_rows import Deformed, Places
from pixelwise.ops.running import choice
from pixelwise.ops.running.precision import (
    full_precision,
    once,
    statistics_dtype,
)

Pair = tuple[int, int]


def reference(
    x: Float[Tensor, "b c h w"],
    offset: Float[Tensor, "b d i j"],
    weight: Float[Tensor, "o e k l"],
    bias: Float[Tensor, " o"] | None = None,
    mask: Float[Tensor, "b f i j"] | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Float[Tensor, "b o i j"]:
    """Tap by tap: sample the map, times its factor, times its matrix."""
    b, channels, height, width = x.shape
    rows, columns = offset.shape[2:]
    outputs, per_group, kernel = weight.shape[0], weight.shape[1], weight.shape[2:]
    taps = kernel[0] * kernel[1]
    groups, sharing = channels // per_group, offset.shape[1] // (2 * taps)
    offsets = offset.view(b, sharing, taps, 2, rows, columns)
    factors = None if mask is None else mask.view(b, sharing, taps, 1, rows, columns)
    parts = x.view(b * sharing, channels // sharing, height, width)
    matrices = weight.view(groups, outputs // groups, per_group, taps)
    row = torch.arange(rows, device=x.device, dtype=x.dtype)[:, None] * stride[0] - padding[0]
    column = torch.arange(columns, device=x.device, dtype=x.dtype) * stride[1] - padding[1]
    y = x.new_zeros(b, groups, outputs // groups, rows * columns)
    for tap in range(taps):
        shift = tap // kernel[1] * dilation[0], tap % kernel[1] * dilation[1]
        # From pixels to the scale of grid_sample, where -1 and 1 are the outer edges.
        down = (2 * (row + shift[0] + offsets[:, :, tap, 0]) + 1) / height - 1
        right = (2 * (column + shift[1] + offsets[:, :, tap, 1]) + 1) / width - 1
        grid = torch.stack([right, down], dim=-1).flatten(0, 1)
        seen = F.grid_sample(parts, grid, align_corners=False)
        if factors is not None:
            seen = seen.view(b, sharing, -1, rows, columns) * factors[:, :, tap]
        y = y + torch.matmul(matrices[..., tap], seen.reshape(b, groups, per_group, -1))
    y = y.view(b, outputs, rows, columns)
    return y if bias is None else y + bias[:, None, None]


def deformable_convolution(
    x: Float[Tensor, "b c h w"],
    offset: Float[Tensor, "b d i j"],
    weight: Float[Tensor, "o e k l"],
    bias: Float[Tensor, " o"] | None = None,
    mask: Float[Tensor, "b f i j"] | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Float[Tensor, "b o i j"]:
    """Convolve at the offsets; half types are computed in float32, in which positions are exact."""
    with full_precision(x):
        kind = statistics_dtype(x)
        given = [None if z is None else z.to(kind) for z in (x, offset, weight, bias, mask)]
        geometry = {"stride": stride, "padding": padding, "dilation": dilation}
        chosen = choice.form("deformable", x)
        if chosen in ("plain", "traced"):
            return reference(*given, **geometry).to(x.dtype)  # type: ignore[arg-type]
        if chosen == "lean":
            places = Places(stride, padding, dilation)
            return Deformed.apply(*given, places).to(x.dtype)
        *given, mask = once(*given)
        return operator()(*given, mask=mask, **geometry).to(x.dtype)


def read_at(
    x: Float[Tensor, "b c h w"], rows: Int[Tensor, " k"], columns: Int[Tensor, " l"]
) -> Float[Tensor, "b c k l"]:
    """The pixels in these rows and columns; zeros where those are outside of the map."""
    for axis, places in ((2, rows), (3, columns)):
        inside = ((places >= 0) & (places < x.shape[axis])).to(x.dtype)
        x = x.index_select(axis, places.clamp(0, x.shape[axis] - 1))
        x = x * (inside[:, None] if axis == 2 else inside)
    return x


def tap_reads(
    offset: Float[Tensor, "b g k l 2"],
    rows: Int[Tensor, " k"],
    columns: Int[Tensor, " l"],
    size: Pair,
) -> tuple[Float[Tensor, "b t h"], Float[Tensor, "b t w"]]:
    """How much each tap of one output pixel reads of every row, and of every column."""
    found = []
    for axis, places in enumerate((rows[:, None], columns)):
        position = (places + offset[..., axis]).flatten(1)
        pixel = torch.arange(size[axis], device=offset.device, dtype=offset.dtype)
        found.append((1 - (position[..., None] - pixel).abs()).clamp(min=0))
    return found[0], found[1]


def operator() -> Callable[..., Tensor]:
    """The operator of torchvision, which is loaded when it is first asked for."""
    operation: Callable[..., Tensor] = importlib.import_module("torchvision.ops").deform_conv2d
    return operation
