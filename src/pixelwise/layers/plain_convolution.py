"""Plain convolutions of any cost: what a mechanism with the same cost is to be compared with.

On a grid of cells of i x j pixels, z_0 = mean of x over each cell,

    z_1     = relu(W * z_0)                         c -> m channels
    z_(s+1) = relu(F * z_s),   s = 1..r             the same k x k kernels F, r times
    y       = x + up(V * z_(r+1) + a)               m -> c channels, back to pixels

V and a start at 0, so the layer is the identity at the start. Without m there are neither W nor V:
every channel goes through the same kernel, z_(s+1) = z_s + f * z_s / r, and y = x + up(z_r - z_0).
Fixed convolutions keep the weights that they were drawn with, and y = x + g up(V * z_(r+1)), where
g starts at 0 and is the only parameter.

The width m sets the parameters, r and the cells set the operations: `compare.controls` finds those
with which both are like a mechanism's.

Source: no paper, it is a control.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import Layer
from pixelwise.layers.empty_batch import is_empty, without_images
from pixelwise.layers.shared.pointwise import formatted, with_plain_gradient


class PlainConvolution(Layer):
    """Convolutions beside a residual, without attention.

    Args:
        channels: Channels of the input.
        width: Channels m of the convolutions; None: one kernel, shared by all channels.
        kernel_size: Rows and columns k of the repeated kernel; a pair where they differ.
        repeats: How often that kernel is applied.
        cell: Rows and columns of a cell.
        depthwise: The repeated kernels see one channel each.
        bias: Whether there is `a`.
        fixed: The convolutions do not learn, a gain beside them does; needs a width, and no bias.

    Shape:
        (b, c, h, w) -> (b, c, h, w).

    Cost:
        2 c m + r k^2 m^2 multiply-adds per cell, r k^2 m if depthwise, r k^2 c without a width.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "conv"
    title: ClassVar[str] = "Plain convolutions (a control)"
    year: ClassVar[int | None] = None
    aliases: ClassVar[tuple[str, ...]] = ("plain convolution",)
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = 16,
        kernel_size: int | tuple[int, int] = 3,
        repeats: int = 1,
        cell: tuple[int, int] = (1, 1),
        depthwise: bool = False,
        bias: bool = True,
        fixed: bool = False,
    ) -> None:
        super().__init__(channels)
        self.cell = pair(1, cell=cell)
        self.kernel_size = pair(1, kernel_size=kernel_size)
        at_least(1, repeats=repeats)
        self.repeats = repeats
        self.reduce: nn.Conv2d | None = None
        self.expand: nn.Conv2d | None = None
        self.gain: nn.Parameter | None = None
        if fixed and bias:
            raise InputError("fixed=True: has no bias that could learn; give bias=False")
        if width is None:
            if depthwise or bias or fixed:
                raise InputError(
                    "width=None: has one kernel and nothing else; give bias=False,"
                    " depthwise=False and fixed=False, or a width"
                )
            self.filter = nn.Conv2d(1, 1, self.kernel_size, bias=False)
        else:
            at_least(1, width=width)
            self.reduce = nn.Conv2d(channels, width, 1, bias=False)
            groups = width if depthwise else 1
            self.filter = nn.Conv2d(width, width, self.kernel_size, groups=groups, bias=False)
            self.expand = nn.Conv2d(width, channels, 1, bias=bias)
        if fixed:
            self.gain = nn.Parameter(torch.zeros(1))
            for kept in (self.reduce, self.filter, self.expand):
                assert kept is not None
                _keep_as_buffer(kept)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch does, and the last convolution, or the gain, at 0."""
        super().reset_parameters()
        if self.gain is not None:
            nn.init.zeros_(self.gain)
            return
        last = self.filter if self.expand is None else self.expand
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; see `plain`.

        Shape:
            (b, c, h, w) -> (b, c, h, w).
        """
        self.check(x)
        if is_empty(x):
            return without_images(self, self.forward, [x])
        return with_plain_gradient(formatted(self.plain(x), x))

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Average cells, convolve them again and again, and add what came out."""
        z = x
        if self.cell != (1, 1):
            z = F.avg_pool2d(x, self.cell, ceil_mode=True, count_include_pad=False)
        change = self._by_one_kernel(z) if self.expand is None else self._wide(z)
        if self.gain is not None:
            change = self.gain * change
        if self.cell != (1, 1):
            for axis, size in enumerate(self.cell, start=2):
                places = torch.arange(x.shape[axis], device=x.device) // size
                change = change.index_select(axis, places)
        return x + change

    def _wide(self, z: Float[Tensor, "b c i j"]) -> Float[Tensor, "b c i j"]:
        assert self.reduce is not None
        assert self.expand is not None
        z = F.relu(self.reduce(z))
        for _ in range(self.repeats):
            z = F.relu(self.filter(self._framed(z)))
        return self.expand(z)

    def _by_one_kernel(self, z: Float[Tensor, "b c i j"]) -> Float[Tensor, "b c i j"]:
        b, c, i, j = z.shape
        start = z.reshape(b * c, 1, i, j)
        now = start
        for _ in range(self.repeats):
            now = now + self.filter(self._framed(now)) / self.repeats
        return (now - start).reshape(b, c, i, j)

    def _framed(self, z: Float[Tensor, "n m i j"]) -> Float[Tensor, "n m p q"]:
        """Zeros around the map, so that the kernel keeps its size, even ones too."""
        rows, columns = self.kernel_size
        if rows == columns == 1:
            return z
        top, left = (rows - 1) // 2, (columns - 1) // 2
        return F.pad(z, (left, columns - 1 - left, top, rows - 1 - top))


def _keep_as_buffer(convolution: nn.Conv2d) -> None:
    """Its weight is saved and moved with the layer, and never learns."""
    weight = convolution.weight.detach()
    del convolution.weight
    convolution.register_buffer("weight", weight)
