"""Fully convolutional head: 3x3 convolutions, then classes.

    y = relu(norm(W3 * x4))           x4: the backbone's last feature map; `convs` of these
    z = relu(norm(W3 * [x4, y]))      where `concatenate`; else z = y
    logits = W1 dropout(z)            and one convolution on x3, as an auxiliary output

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015,
https://arxiv.org/abs/1411.4038.
Reference: github.com/zhanghang1989/PyTorch-Encoding, encoding/models/sseg/fcn.py (MIT): the dilated
variant that attention networks are compared with; auxiliary weight 0.2, `align_corners=True`.
mmsegmentation's FCNHead (Apache-2.0) has two convolutions of 512 channels and concatenates.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import conv_modules


class FCN(Decoder):
    """The baseline: no attention.

    Args:
        channels: Widths of the feature maps, finest first; the last two are used.
        outputs: Logits per pixel.
        width: Channels of the convolutions; None is a quarter of the last feature map's.
        convs: How many convolutions follow each other; with 0 the classifier stands alone.
        kernel_size: Side of the convolutions.
        concatenate: One more convolution sees the feature map beside the result.
        auxiliary: Train a second head on the feature map before the last.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for negative `convs`, or none with `concatenate`.
    """

    key = "fcn"
    summary = "fully convolutional baseline: one 3x3 convolution on the last feature map"
    source = "Long et al. 2015, https://arxiv.org/abs/1411.4038"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.2}
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        "head.conv5": "steps.0",
        "head.conv5.4": "classify.1",
        # mmsegmentation's names.
        **conv_modules({f"convs.{i}": f"steps.{i}" for i in range(8)}),
        **conv_modules({"conv_cat": "joined"}),
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        convs: int = 1,
        kernel_size: int = 3,
        concatenate: bool = False,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        if convs < (1 if concatenate else 0):
            raise InputError(f"convs={convs}: at least 1 with concatenate, else at least 0")
        last = channels[-1]
        hidden = max(last // 4, 1) if width is None else width
        self.steps = nn.Sequential(
            *(conv_norm(hidden if i else last, hidden, kernel_size) for i in range(convs))
        )
        self.joined = conv_norm(last + hidden, hidden, kernel_size) if concatenate else None
        self.classify = nn.Sequential(
            nn.Dropout(0.1), nn.Conv2d(hidden if convs else last, outputs, kernel_size=1)
        )
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        y = self.steps(features[-1])
        if self.joined is not None:
            y = self.joined(torch.cat([features[-1], y], dim=1))
        return self.classify(y)
