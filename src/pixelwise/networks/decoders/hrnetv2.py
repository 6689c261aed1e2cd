"""The head of HRNetV2: all branches, concatenated, and a small convolution.

    x = [x1, x2, x3, x4]             the last four feature maps, resized to the finest of them
    logits = W relu(norm(W1 * x))    W1: 1x1, keeps the width; W: to the classes

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2019,
https://arxiv.org/abs/1908.07919.
Reference: github.com/HRNet/HRNet-Semantic-Segmentation, lib/models/seg_hrnet.py (MIT), commit
0bbb288, `last_layer`; its FINAL_CONV_KERNEL is `kernel_size`. On an HRNet as it has it: `hrnet`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder


class HRNetV2(Decoder):
    """One 1x1 convolution on the last four feature maps, then the classes.

    Args:
        channels: Widths of the feature maps, finest first; the last four are used.
        outputs: Logits per pixel.
        kernel_size: Side of the convolution to the classes, 1 or 3.
        upsampler: How coarse maps come to the size of the finest, such as "dysample"; None is
            bilinear. See `pixelwise layers`.

    Shape: finest of the last four (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for another `kernel_size`.
    """

    key = "hrnetv2"
    title = "HRNetV2's head"
    year = 2019
    summary = "1x1 convolution on the last four feature maps, concatenated"
    source = "Wang et al. 2019, https://arxiv.org/abs/1908.07919"
    backbone = "hrnet_w48"
    align_corners = True
    reference_keys: ClassVar[Mapping[str, str]] = {
        "last_layer.0": "join.0",
        "last_layer.1": "join.1",
        "last_layer.3": "classify",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        kernel_size: int = 1,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        if kernel_size not in (1, 3):
            raise InputError(f"kernel_size={kernel_size}: must be 1 or 3; use one of them")
        first, *others = channels[-4:]
        self.add_upsamplers(upsampler, [(c, first) for c in others])
        whole = sum(channels[-4:])
        self.join = conv_norm(whole, whole, bias=True)
        self.classify = nn.Conv2d(whole, outputs, kernel_size, padding=kernel_size // 2)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest of the last four maps."""
        x = torch.cat(self.at_first(features[-4:]), dim=1)
        return self.classify(self.join(x))
