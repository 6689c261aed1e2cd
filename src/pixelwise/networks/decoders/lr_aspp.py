"""Lite reduced pyramid: one branch per pixel, gated by the whole picture, beside a finer map.

    y = relu(norm(W1 * x))            x: the backbone's last feature map
    g = sigmoid(Wg mean(x))           a gate per channel, from the mean over all pixels
    logits = Wh up(g * y) + Wl * f    f: a finer feature map, at whose size the logits are

All convolutions are 1x1; `up` resizes bilinearly to the size of f.

Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, https://arxiv.org/abs/1905.02244,
section 6.4 and figure 10.
Reference: torchvision's LRASPPHead (BSD-3-Clause), which takes the mean over all pixels, where the
paper pools 49 x 49 pixels with strides. Here as there, x has an output stride of 16 and f of 8.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder


class LRASPP(Decoder):
    """A gated 1x1 convolution on the last feature map, and logits of a finer one added.

    Args:
        channels: Widths of the feature maps, finest first; the last is used, and the third from
            the end, or the first where there are fewer.
        outputs: Logits per pixel.
        width: Channels of the gated branch.
        upsampler: How the coarse map comes to the size of the finer one, such as "dysample"; None
            is bilinear. See `pixelwise layers`.

    Shape: feature maps -> (b, outputs, h, w) of the finer map.
    Raises: InputError for a width below 1.
    """

    key = "lr_aspp"
    title = "Lite R-ASPP"
    year = 2019
    aliases = ("LRASPPHead", "Lite-RASPP")
    summary = "a gated 1x1 convolution and a skip; small and fast"
    source = "Howard et al. 2019, https://arxiv.org/abs/1905.02244"
    backbone = "mobilenetv3_large_100"
    output_stride = 16
    reference_keys: ClassVar[Mapping[str, str]] = {
        "cbr": "reduce",
        "scale.1": "gate",
        "high_classifier": "classify",
        "low_classifier": "classify_fine",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 128,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width)
        self.fine = -min(3, len(channels))
        self.add_upsamplers(upsampler, [(width, channels[self.fine])])
        self.reduce = conv_norm(channels[-1], width)
        self.gate = nn.Conv2d(channels[-1], width, kernel_size=1, bias=False)
        self.classify = nn.Conv2d(width, outputs, kernel_size=1)
        self.classify_fine = nn.Conv2d(channels[self.fine], outputs, kernel_size=1)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the finer map's size."""
        x, fine = features[-1], features[self.fine]
        gate = self.gate(x.mean(dim=(2, 3), keepdim=True)).sigmoid()
        y, fine = self.enlarged(0, gate * self.reduce(x), fine)
        return self.classify(y) + self.classify_fine(fine)
