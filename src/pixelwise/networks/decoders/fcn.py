"""Fully convolutional head: one 3x3 convolution, then classes.

    z = relu(norm(W3 * x4))           x4: the backbone's last feature map
    logits = W1 dropout(z)            and the same on x3, as an auxiliary output

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015,
https://arxiv.org/abs/1411.4038.
Reference: github.com/zhanghang1989/PyTorch-Encoding, encoding/models/sseg/fcn.py (MIT): the dilated
variant that attention networks are compared with; auxiliary weight 0.2, `align_corners=True`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.parts import conv_norm
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.networks.base import Decoder, Outputs


class FCNHead(ReferenceWeights):
    """3x3 convolution to a quarter of the width, dropout 0.1, 1x1 convolution to the outputs.

    Shape: (b, channels, h, w) -> (b, outputs, h, w).
    """

    reference_keys: ClassVar[Mapping[str, str]] = {"conv5": "layers"}

    def __init__(self, channels: int, outputs: int) -> None:
        hidden = max(channels // 4, 1)
        super().__init__()
        self.layers = nn.Sequential(
            *conv_norm(channels, hidden, 3),
            nn.Dropout(0.1),
            nn.Conv2d(hidden, outputs, kernel_size=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits at the feature map's size."""
        return self.layers(x)


class FCN(Decoder):
    """The baseline: no attention.

    Args:
        channels: Widths of the feature maps, finest first; the last two are used.
        outputs: Logits per pixel.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    """

    key = "fcn"
    summary = "fully convolutional baseline: one 3x3 convolution on the last feature map"
    source = "Long et al. 2015, https://arxiv.org/abs/1411.4038"
    align_corners = True
    auxiliary_weights: ClassVar[Mapping[str, float]] = {"stage3": 0.2}
    reference_keys: ClassVar[Mapping[str, str]] = {
        "head": "head",
        "auxlayer": "auxiliary",
    }

    def __init__(self, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.head = FCNHead(channels[-1], outputs)
        self.auxiliary = FCNHead(channels[-2], outputs)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        return self.head(features[-1])

    def with_auxiliary(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Outputs:
        """Logits, and those of the feature map before the last."""
        return Outputs(self.head(features[-1]), {"stage3": self.auxiliary(features[-2])})
