"""Squeeze and excitation: one gate per channel, from the mean of every channel.

For pixels x_n in R^c of one image,

    z = mean_n(x_n)                          squeeze    (or half mean, half maximum)
    g = gate(W2 act(W1 z + b1) + b2)         excite     (a norm may follow W1)
    y_n = x_n * g

Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018,
https://arxiv.org/abs/1709.01507.
Reference: the two lines of implementations in PyTorch. timm/layers/squeeze_excite.py, SEModule
(Apache-2.0) has 1x1 convolutions with biases, and rounds the hidden width to a multiple of 8; give
it as `hidden`. github.com/changzy00/pytorch-attention, attention_mechanisms/se_module.py and many
like it have linear maps without biases. Difference: one class for both.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer, Limits, Maps, reduced
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.pixel_pools import mean_pool
from pixelwise.ops.running.precision import full_precision

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "hard_swish": F.hardswish,
}
GATES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": Tensor.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
}


class SqueezeExcitation(AttentionLayer):
    """Gate every channel by what the channels are on the whole.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        bias: Whether both linear maps have biases.
        add_max: Squeeze by half the mean and half the maximum.
        norm: Batch norm behind the first linear map.
        activation: "relu", "silu", "gelu" or "hard_swish".
        gate: "sigmoid", or "hard_sigmoid", min(max(z + 3, 0), 6) / 6.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c operations per pixel; no map beside the result is kept.

    Raises:
        InputError: An option is out of range, or one image alone is to train a `norm`.
    """

    key: ClassVar[str] = "se"
    title: ClassVar[str] = "Squeeze-and-excitation block"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "SENet",
        "SELayer",
        "SEBlock",
        "SEModule",
        "SEAttention",
        "squeeze excite",
        "squeeze and excitation",
        "squeeze and excite",
    )
    cost_exponent: float = 1.0
    lean_for_gradients: ClassVar[bool] = True
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "fc1": "reduce",
        "bn": "norm",
        "fc2": "expand",
        "conv_reduce": "reduce",
        "conv_expand": "expand",
        "fc.0": "reduce",
        "fc.2": "expand",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        hidden: int | None = None,
        bias: bool = True,
        add_max: bool = False,
        norm: bool = False,
        activation: str = "relu",
        gate: str = "sigmoid",
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        one_of(tuple(ACTIVATIONS), activation=activation)
        one_of(tuple(GATES), gate=gate)
        self.add_max, self.activation, self.gate = add_max, activation, gate
        self.reduce = nn.Linear(channels, width, bias=bias)
        self.norm = nn.BatchNorm1d(width) if norm else None
        self.expand = nn.Linear(width, channels, bias=bias)
        if norm:
            self.limits = Limits(images=2)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Squeeze every channel to a number, make gates of these, and gate the channels."""
        squeezed = x.mean(dim=(2, 3))  # (b, c)
        if self.add_max:  # equal pixels share its gradient
            squeezed = 0.5 * squeezed + 0.5 * x.amax(dim=(2, 3))
        hidden = self.reduce(squeezed)
        if self.norm is not None:
            hidden = self.norm(hidden)
        excited = self.expand(ACTIVATIONS[self.activation](hidden))
        return x * GATES[self.gate](excited)[:, :, None, None]

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The gradients of the mean and of the product are one map, added up in place."""
        with full_precision(x):
            flat, gate = self._gate(x.flatten(2))
            return factor_gate(flat, gate[:, :, None]).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the channels, the same for every `at`."""
        with full_precision(x):
            return Maps(channel=self._gate(x.flatten(2))[1])

    def _gate(
        self, x: Float[Tensor, "b c n"]
    ) -> tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]:
        """The map to go on with, and the gates."""
        flat, squeezed = mean_pool(x)
        kind = squeezed.dtype
        if self.add_max:  # equal pixels share its gradient
            squeezed = 0.5 * squeezed + 0.5 * x.amax(dim=2).to(kind)
        hidden = self.reduce(squeezed.to(self.reduce.weight.dtype))
        if self.norm is not None:
            hidden = self.norm(hidden)
        excited = self.expand(ACTIVATIONS[self.activation](hidden)).to(kind)
        return flat, GATES[self.gate](excited)
