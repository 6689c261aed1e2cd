"""The frame in which several networks hold one attention layer.

    u = relu(norm(Wu * x))            x: the backbone's last feature map
    v = attend(u)                     the layer
    y = relu(norm(Wy * v))
    z = relu(norm(Wz * [x, y]))       what was there beside what was seen; or z = y
    logits = W dropout(z)

Wu, Wy and Wz are 3x3 convolutions, W is a 1x1 convolution.

Reference: mmsegmentation's FCNHead (Apache-2.0), from which its heads of one layer descend, always
with two convolutions and the layer between them.
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

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        layer: Keeps `width` channels.
        width: Channels of the layer and of the convolutions around it.
        joined: Channels of the convolution that sees the feature map beside the result; None
            leaves it out.
        activation: What follows the norms: "relu" or "leaky_relu".

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range.
    """

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
        joined: int | None,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        one_of(ACTIVATIONS, activation=activation)
        last = channels[-1]
        self.before = conv_norm(last, width, 3, activation=activation)
        self.layer = layer
        self.after = conv_norm(width, width, 3, activation=activation)
        self.joined = None
        if joined is not None:
            self.joined = conv_norm(last + width, joined, 3, activation=activation)
        self.classify = classifier(width if joined is None else joined, outputs)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        x = features[-1]
        y = self.after(self.layer(self.before(x)))
        return self.classify(y if self.joined is None else self.joined(torch.cat([x, y], dim=1)))
