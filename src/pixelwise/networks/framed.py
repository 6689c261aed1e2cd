"""The frame in which several networks hold one attention layer.

    u = relu(norm(Wu * x))            x: the backbone's last feature map
    v = attend(u)                     the layer
    y = relu(norm(Wy * v))
    z = relu(norm(Wz * [x, y]))       where `concatenate`; else z = y
    logits = W dropout(z)             and one convolution on x3, as an auxiliary output

Wu, Wy and Wz are 3x3 convolutions, W is a 1x1 convolution.

Reference: mmsegmentation's FCNHead (Apache-2.0), from which its heads of one layer descend, always
with two convolutions and the layer between them; with the auxiliary head of its configs.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer
from pixelwise.layers.shared.parts import ACTIVATIONS, conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules


class FramedLayer(Decoder):
    """Convolution, attention layer, convolution, and one more beside the feature map.

    A subclass makes its layer, with the options that it has, and hands it to this constructor.

    Args:
        channels: Widths of the feature maps, finest first; the last two are used.
        outputs: Logits per pixel.
        layer: Keeps its channels.
        width: Channels of the layer and of the convolutions around it; None is a quarter of the
            last feature map's.
        concatenate: One more convolution sees the feature map beside the result.
        joined: Channels of that convolution; None is `width`.
        activation: What follows the norms: "relu" or "leaky_relu".
        auxiliary: Train a second head on the feature map before the last.
        auxiliary_width: Channels of that head; None is a quarter of its feature map's.
        auxiliary_bias: Its 3x3 convolution has a bias.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range.
    """

    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"convs.0": "before", "convs.1": "after", "conv_cat": "joined"}),
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        layer: AttentionLayer,
        *,
        width: int,
        concatenate: bool = True,
        joined: int | None = None,
        activation: str = "relu",
        auxiliary: bool = True,
        auxiliary_width: int | None = None,
        auxiliary_bias: bool = False,
    ) -> None:
        super().__init__()
        one_of(ACTIVATIONS, activation=activation)
        last, wide = channels[-1], width if joined is None else joined
        self.before = conv_norm(last, width, 3, activation=activation)
        self.layer = layer
        self.after = conv_norm(width, width, 3, activation=activation)
        self.joined = None
        if concatenate:
            self.joined = conv_norm(last + width, wide, 3, activation=activation)
        self.classify = classifier(wide if concatenate else width, outputs)
        self.add_auxiliary(
            channels,
            outputs,
            wanted=auxiliary,
            width=auxiliary_width,
            bias=auxiliary_bias,
            activation=activation,
        )

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        x = features[-1]
        y = self.after(self.layer(self.before(x)))
        return self.classify(y if self.joined is None else self.joined(torch.cat([x, y], dim=1)))
