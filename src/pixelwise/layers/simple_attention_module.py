"""SimAM: a gate for every value, without parameters, from how far it lies from its channel's mean.

For the pixels x_n of one channel, N of them,

    m = mean_n(x_n)
    v = sum_n (x_n - m)^2 / (N - 1)
    e_n = (x_n - m)^2 / (4 (v + lambda)) + 1 / 2        how much pixel n stands out
    y_n = x_n sigmoid(e_n)

Source: Yang et al., "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html.
Reference: github.com/ZjjConan/SimAM, networks/attentions/simam_module.py (no licence file),
compared by recorded numbers alone. Difference: a map of one pixel has variance 0 and the gate
sigmoid(1/2), where theirs is not a number.
"""

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.ops.outlier_gate import outlier_gate, outlier_gates
from pixelwise.ops.running.precision import full_precision


class SimpleAttentionModule(AttentionLayer):
    """Gate every value by its distance from the mean of its channel.

    Args:
        channels: Channels c of the input and of the output.
        ease: What is added to the variance, the lambda of the equations; above 0.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        About 8 c operations per pixel; no parameters, and no map beside the result is kept.

    Raises:
        InputError: `channels` is below 1, or `ease` is not above 0.

    Gates are at least sigmoid(1/2), 0.62: values near the mean are damped most, and none is
    suppressed. Values as far below the mean as others above it have the same gate.
    """

    key: ClassVar[str] = "simam"
    title: ClassVar[str] = "SimAM"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = (
        "simam_module",
        "parameter-free attention",
        "parameter free attention",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    map_heads: Heads = Heads("mean", None)

    def __init__(self, channels: int, *, ease: float = 1e-4) -> None:
        super().__init__(channels)
        if not 0 < ease < math.inf:
            raise InputError(f"ease={ease}: must be above 0; the authors have ease=1e-4")
        self.ease = ease

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate every value by its squared distance from the mean, in units of the variance."""
        height, width = x.shape[2:]
        squares = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        variance = squares.sum(dim=(2, 3), keepdim=True) / max(height * width - 1, 1)
        return x * (squares / (4 * (variance + self.ease)) + 0.5).sigmoid()

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass takes mean and variance, one applies the gates, in blocks."""
        return outlier_gate(x.flatten(2), self.ease).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`; a head is a channel."""
        with full_precision(x):
            return Maps(spatial=outlier_gates(x.flatten(2), self.ease).view(x.shape))
