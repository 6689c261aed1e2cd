"""Fully convolutional head: 3x3 convolutions, then classes.

    y = relu(norm(W3 * x4))           x4: the backbone's last feature map; `convs` of these
    z = relu(norm(W3 * [x4, y]))      where `concatenate`; else z = y
    logits = W1 dropout(z)            and one convolution on x3, as an auxiliary output

With `features="all"`, x4 is the last four feature maps, resized to the finest of them and
concatenated, as HRNets have it.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015,
https://arxiv.org/abs/1411.4038.
Reference: github.com/zhanghang1989/PyTorch-Encoding, encoding/models/sseg/fcn.py (MIT): the dilated
variant that attention networks are compared with; auxiliary weight 0.2, `align_corners=True`.
mmsegmentation's FCNHead (Apache-2.0) has two convolutions of 512 channels and concatenates; its
dilation is that of `convs`, not of the joined convolution. On HRNets it is `features="all"` with
one 1x1 convolution that keeps the width.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import ONE_MAP, conv_modules, inner_width


class FCN(Decoder):
    """The baseline: no attention.

    Args:
        channels: Widths of the feature maps, finest first.
        outputs: Logits per pixel.
        features: "last", or "all": the last four feature maps, concatenated.
        width: Channels of the convolutions; None is a quarter of what they see.
        convs: How many convolutions follow each other, 0 or more.
        kernel_size: Side of the convolutions, odd.
        dilation: Distance of the taps of `convs`, in pixels.
        concatenate: One more convolution sees what the first one saw beside the result.
        auxiliary: Train a second head on the feature map before the last.
        upsampler: How, with features="all", coarse maps come to the size of the finest, such as
            "dysample"; None is bilinear. See `pixelwise layers`.

    Shape: last feature map, or finest of the last four, (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range.
    """

    key = "fcn"
    title = "Fully convolutional network"
    year = 2015
    aliases = ("FCNHead",)
    summary = "baseline: one 3x3 convolution on the last feature map"
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
        features: str = "last",
        width: int | None = None,
        convs: int = 1,
        kernel_size: int = 3,
        dilation: int = 1,
        concatenate: bool = False,
        auxiliary: bool = True,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        one_of(("last", "all"), features=features)
        at_least(0, convs=convs)
        at_least(1, kernel_size=kernel_size, dilation=dilation)
        if kernel_size % 2 == 0:
            raise InputError(
                f"kernel_size={kernel_size}: must be odd, to keep the size of maps; add or take 1"
            )
        self.all_maps = features == "all"
        first, *others = channels[-4:]
        joins = [(c, first) for c in others] if self.all_maps else []
        self.add_upsamplers(upsampler, joins, lacking="" if self.all_maps else ONE_MAP)
        last = sum(channels[-4:]) if self.all_maps else channels[-1]
        hidden = inner_width(last, width)
        stepped = hidden if convs else last
        self.steps = nn.Sequential(
            *(
                conv_norm(hidden if i else last, hidden, kernel_size, dilation=dilation)
                for i in range(convs)
            )
        )
        self.joined = conv_norm(last + stepped, hidden, kernel_size) if concatenate else None
        self.classify = nn.Sequential(
            nn.Dropout(0.1), nn.Conv2d(hidden if concatenate else stepped, outputs, kernel_size=1)
        )
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map, or from the last four."""
        x = features[-1]
        if self.all_maps:
            x = torch.cat(self.at_first(features[-4:]), dim=1)
        y = self.steps(x)
        return self.classify(y if self.joined is None else self.joined(torch.cat([x, y], dim=1)))
