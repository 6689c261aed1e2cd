"""SETR's upsampling heads: convolutions on the last map of a transformer, enlarged by steps.

    y = norm(x4)                              of each pixel over its channels
    y = up(relu(norm(C_i * y)))               for each of n convolutions; up: s times the size
    logits = W dropout(y)

Four 3x3 convolutions and doublings are the progressive head (PUP), two 1x1 convolutions with s = 4
or 2 the naive one. W comes before the last enlarging, with which it commutes.

Source: Zheng et al., "Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with
Transformers", CVPR 2021, https://arxiv.org/abs/2012.15840.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/setr_up_head.py
(Apache-2.0), version 1.2.2. Its auxiliary heads on earlier blocks are not here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import ChannelNorm, classifier, conv_modules

ONE = "convs=1 enlarges the logits alone; give convs=2 or more"
"""Why there is nothing to enlarge."""
MOST = 16
"""How many names of convolutions are known."""


class SETR(Decoder):
    """Convolutions on the last feature map, each followed by an enlarging.

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        width: Channels of the convolutions.
        convs: How many there are.
        scale: By how much each enlarges the map.
        kernel_size: Side of the convolutions, 1 or 3.
        upsampler: How the map is enlarged from one convolution to the next, such as "dysample";
            None is bilinear, and so is the last enlarging, of the logits. There is no finer map
            for "freqfusion" to look into. See `pixelwise layers`.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h * scale^convs, w * scale^convs).
    Raises: InputError for options out of range.
    """

    key = "setr"
    title = "SETR"
    year = 2021
    aliases = ("SETRUPHead", "SETR-PUP", "SETR-Naive", "Segmentation transformer")
    summary = "convolutions on the last map of a plain transformer, enlarged by steps"
    source = "Zheng et al. 2021, https://arxiv.org/abs/2012.15840"
    backbone = "vit_base_patch16_224"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        "norm": "norm",
        **conv_modules({f"up_convs.{i}.0": f"steps.{i}" for i in range(MOST)}),
        "conv_seg": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 256,
        convs: int = 4,
        scale: int = 2,
        kernel_size: int = 3,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width, convs=convs, scale=scale)
        if kernel_size not in (1, 3):
            raise InputError(f"kernel_size={kernel_size}: must be 1 or 3; use one of them")
        self.scale = scale
        self.norm = ChannelNorm(channels[-1])
        self.steps = nn.ModuleList(
            conv_norm(width if i else channels[-1], width, kernel_size) for i in range(convs)
        )
        self.add_upsamplers(upsampler, [(width, width)] * (convs - 1), lacking=ONE, guided=False)
        self.classify = classifier(width, outputs)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the enlarged map."""
        first, *rest = self.steps
        y = first(self.norm(features[-1]))
        for i, step in enumerate(rest):
            fine = y.new_empty(len(y), 1, *self._size(y))  # of which only the size counts
            y = step(self.enlarged(i, y, fine)[0])
        logits = self.classify(y)
        corners = self.align_corners
        return F.interpolate(
            logits, size=self._size(logits), mode="bilinear", align_corners=corners
        )

    def _size(self, x: Float[Tensor, "b c h w"]) -> list[Any]:
        """Rows and columns once enlarged."""
        return [self.scale * side for side in x.shape[2:]]
