"""Expectation-maximisation attention network: every pixel rebuilt from a few bases.

    x = relu(norm(W3 * x4))               x4: the last feature map
    y = ema(x)                            expectation-maximisation attention
    z = relu(norm(W3 * y))
    z = relu(norm(W3 * [x4, z]))          where `concatenate`
    logits = W1 dropout(z)

Source: Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation", 2019,
https://arxiv.org/abs/1907.13426.
Reference: github.com/XiaLiPKU/EMANet (GPL-3.0: its numbers only, the code was not read). Its
published networks have ResNets with a stem of 64, 64 and 128 channels (timm's `resnet101s`) at
output stride 8 with layer 4 dilated by 2, 8, 16 (`multi_grid` of `create_model`), and norms with a
momentum of 3e-4, in the backbone as well, for long training from pretrained weights.
mmsegmentation's EMAHead (Apache-2.0) has `variant="mmsegmentation", concatenate=True,
auxiliary=True`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.expectation_maximisation_attention import ExpectationMaximisationAttention
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules


class EMANet(Decoder):
    """Expectation-maximisation attention on the last feature map.

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        width: Channels after the attention; None is an eighth of the last feature map's.
        attention_width: Channels of the attention; None is a quarter of the last feature map's.
        bases: Bases of the attention.
        steps: Its steps of expectation and maximisation.
        momentum: Share of the old bases in their moving average.
        norm_momentum: Momentum of the batch norms here; the authors' 3e-4 needs thousands of steps.
        variant: How the attention normalises, "code" or "mmsegmentation".
        concatenate: One more convolution sees the feature map beside the result.
        auxiliary: Train a second head on the feature map before the last, as mmsegmentation does.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range.
    """

    key = "emanet"
    title = "Expectation-maximization attention network"
    year = 2019
    aliases = ("EMAHead",)
    summary = "pixels rebuilt from a few bases (ema)"
    source = "Li et al. 2019, https://arxiv.org/abs/1907.13426"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        **conv_modules({"fc0": "reduce", "fc1.0": "expand"}),
        "emau": "attention",
        "fc2": "classify.1",
        # mmsegmentation's names.
        **conv_modules({"ema_in_conv": "reduce", "bottleneck": "expand", "conv_cat": "joined"}),
        **conv_modules({"ema_out_conv": "attention.expand"}),
        "ema_mid_conv.conv": "attention.project",
        "ema_module.bases": "attention.bases",
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        attention_width: int | None = None,
        bases: int = 64,
        steps: int = 3,
        momentum: float = 0.9,
        norm_momentum: float = 0.1,
        variant: str = "code",
        concatenate: bool = False,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        last = channels[-1]
        hidden = max(last // 8, 1) if width is None else width
        inner = max(last // 4, 1) if attention_width is None else attention_width
        self.reduce = conv_norm(last, inner, 3)
        self.attention = ExpectationMaximisationAttention(
            inner,
            bases=bases,
            steps=steps,
            momentum=momentum,
            norm_momentum=norm_momentum,
            variant=variant,
        )
        self.expand = conv_norm(inner, hidden, 3)
        self.joined = conv_norm(last + hidden, hidden, 3) if concatenate else None
        self.classify = classifier(hidden, outputs)
        self.add_auxiliary(channels, outputs, wanted=auxiliary)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = norm_momentum

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits of the rebuilt features; in training, the bases move."""
        y = self.expand(self.attention(self.reduce(features[-1])))
        if self.joined is not None:
            y = self.joined(torch.cat([features[-1], y], dim=1))
        return self.classify(y)
