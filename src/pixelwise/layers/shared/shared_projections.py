"""What both forms of ACmix share: projections for attention that a convolution uses again.

For heads of width d, with q, k, v grouped by their place g in a head,

    t_gi = F [q_gi, k_gi, v_gi] + b      nine taps of all heads, for each g of d
    f_i = sum_t S_t t_(i + t)            ... each moved by one pixel, and summed

F and S are linear, so f is one grouped convolution of q, k and v.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.ops.running.precision import statistics_dtype


def head_width(channels: int, heads: int) -> int:
    """Channels of one head."""
    if channels % heads:
        raise InputError(
            f"heads={heads}: must divide {channels} channels of the output; "
            "choose another number of heads"
        )
    return channels // heads


def project(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "3 o c"],
    bias: Float[Tensor, "3 o"] | None,
    heads: int,
) -> tuple[Float[Tensor, "b p h w"], tuple[Float[Tensor, "b m d h w"], ...]]:
    """Queries, keys and values: as one map that groups them as the taps do, and each by heads.

    The three are views of the map, so the convolution needs no shuffled copy of them.
    """
    grouped = torch.unflatten(weight, 1, (heads, -1)).permute(2, 0, 1, 3).flatten(0, 2)
    product = grouped.expand(x.shape[0], -1, -1)
    if bias is None:
        flat = torch.bmm(product, x.flatten(2))
    else:
        start = torch.unflatten(bias, 1, (heads, -1)).permute(2, 0, 1).reshape(-1, 1)
        flat = torch.baddbmm(start, product, x.flatten(2))
    mixed = flat.view(*flat.shape[:2], *x.shape[2:])
    by_head = torch.unflatten(mixed, 1, (-1, 3, heads)).transpose(1, 3)
    return mixed, by_head.unbind(2)


class ConvolutionPath(nn.Module):
    """The 3x3 convolution: nine taps of queries, keys and values, each moved to its place."""

    def __init__(self, heads: int, width: int, *, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.width, self.stride = heads, width, stride
        self.taps = nn.Linear(3 * heads, 9, bias=bias)
        self.shift = nn.Conv2d(
            9 * width, heads * width, 3, stride, padding=1, groups=width, bias=False
        )

    def reset_parameters(self) -> None:
        """Taps as torch initialises; tap t moves to row t // 3 and column t % 3 of the kernel."""
        self.taps.reset_parameters()
        eye = torch.eye(9).view(9, 3, 3)
        with torch.no_grad():
            self.shift.weight.copy_(eye.expand_as(self.shift.weight))

    def forward(
        self,
        query: Float[Tensor, "b m d h w"],
        key: Float[Tensor, "b m d h w"],
        value: Float[Tensor, "b m d h w"],
    ) -> Float[Tensor, "b o i j"]:
        """Nine taps of all heads, each moved to its place; channel g heads + m is f_gm."""
        parts = torch.cat([query, key, value], dim=1).permute(0, 2, 3, 4, 1)  # (b, d, h, w, 3 m)
        taps = self.taps(parts).permute(0, 1, 4, 2, 3)  # (b, d, 9, h, w)
        return self.shift(taps.flatten(1, 2))

    def lean(
        self, mixed: Float[Tensor, "b p h w"], rate: Float[Tensor, "1"]
    ) -> Float[Tensor, "b o i j"]:
        """The same times `rate`; taps and shifts are linear, so they are one convolution."""
        kind = statistics_dtype(mixed)
        shift = torch.unflatten(self.shift.weight * rate, 0, (self.width, self.heads)).to(kind)
        weight = torch.einsum("gotyx,ts->gosyx", shift, self.taps.weight.to(kind)).flatten(0, 1)
        weight = weight.to(mixed.dtype)
        y = F.conv2d(mixed, weight, stride=self.stride, padding=1, groups=self.width)
        if self.taps.bias is not None:  # zeros beyond the border are not biased
            biased = torch.einsum("gotyx,t->goyx", shift, self.taps.bias.to(kind)).flatten(0, 1)
            inside = mixed.new_ones(1, 1, *mixed.shape[2:])
            weight = biased[:, None].to(mixed.dtype)
            y = y + F.conv2d(inside, weight, stride=self.stride, padding=1)
        return y
