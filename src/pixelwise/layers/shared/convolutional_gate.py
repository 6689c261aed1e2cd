"""Layers that multiply every value by a factor from convolutions of a wide neighbourhood.

With u(z) what a layer sees around each pixel, W and b a 1x1 convolution, and * between maps the
product of their entries,

    y = x * (W u(x) + b)
    y = x + P2 (z * (W u(z) + b)) + p2,  z = gelu(P1 x + p1)      projected
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.pointwise import formatted
from pixelwise.ops.depthwise import depthwise, laid_out

UNIT = "spatial_gating_unit"
"""What the authors call the gate between both projections."""

Apply = Callable[[nn.Module, Tensor], Tensor]


def gate_keys(keys: Mapping[str, str]) -> dict[str, str]:
    """The authors' names of the parts of a gate, alone and between projections -> names here."""
    inside = {f"{UNIT}.{theirs}": ours for theirs, ours in keys.items()}
    return {**keys, **inside, "proj_1": "project_in", "proj_2": "project_out"}


class ConvolutionalGate(AttentionLayer):
    """A factor for every value, from what its layer sees around a pixel; signed and unbounded.

    A subclass has `context` and writes `plain` with `entered` and `left`.

    Args:
        channels: Channels of the input and of the output.
        seen: Channels of what is seen.
        projected: Gate between two 1x1 convolutions, and add the input.
    """

    cost_exponent: float = 1.0
    map_heads: Heads = Heads("mean", None)

    def __init__(self, channels: int, seen: int, *, projected: bool) -> None:
        super().__init__(channels)
        self.mix = nn.Conv2d(seen, channels, kernel_size=1)
        self.project_in = nn.Conv2d(channels, channels, kernel_size=1) if projected else None
        self.project_out = nn.Conv2d(channels, channels, kernel_size=1) if projected else None

    @abstractmethod
    def context(self, z: Float[Tensor, "b c h w"], apply: Apply) -> Float[Tensor, "b m h w"]:
        """What is seen around each pixel, where `apply(part, map)` convolves."""

    def entered(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """What is gated: x itself, or gelu(P1 x + p1)."""
        return laid_out(x if self.project_in is None else F.gelu(self.project_in(x)))

    def left(
        self, x: Float[Tensor, "b c h w"], gated: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h w"]:
        """The output: what was gated, or x and its projection."""
        return gated if self.project_out is None else x + self.project_out(gated)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Depthwise convolutions in the layout in which they are quick."""
        z = self.entered(x)
        return formatted(self.left(x, z * self.mix(self.context(z, convolved))), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Factors of the pixels, the same for every `at`; a head is a channel."""
        return Maps(spatial=self.mix(self.context(self.entered(x), called)))


def called(part: nn.Module, z: Tensor) -> Tensor:
    """What the part itself makes of a map."""
    found: Tensor = part(z)
    return found


def convolved(part: nn.Module, z: Tensor) -> Tensor:
    """The same for a depthwise convolution, at less cost."""
    assert isinstance(part, nn.Conv2d)
    return depthwise(z, part.weight, part.bias, part.dilation[0])
