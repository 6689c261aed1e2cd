"""Linear probe: one linear map from the features of each pixel to its logits.

    x = [x_k, ..., x_4]             the last feature maps, one or several, at the finest's size
    logits = W dropout(norm(x))     norm: batch, layer or none; W: 1x1

It measures what a frozen backbone knows, and with plain transformers such as DINOv2 it is a strong
baseline: train it with `backbone_lr` 0.

Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023,
https://arxiv.org/abs/2304.07193, section 7.4 (the last map, or the last four joined).
Reference: none; the names "bn" and "conv_seg" of its published heads are known.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import ChannelNorm

ONE = "maps=1 joins no maps; give maps=2 or more"
NORMS = ("batch", "layer", "none")


class Linear(Decoder):
    """A norm and a 1x1 convolution on the backbone's feature maps.

    Args:
        channels: Widths of the feature maps, finest first.
        outputs: Logits per pixel.
        maps: How many of the last feature maps are read; a plain transformer gives the maps of its
            last blocks.
        norm: "batch" of each channel over all pixels, "layer" of each pixel over its channels, or
            "none".
        dropout: Probability with which a channel is dropped in training.
        upsampler: How, where several maps are read, coarse ones come to the size of the finest,
            such as "dysample"; None is bilinear. See `pixelwise layers`.

    Shape: finest of the maps read (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range, or more maps than the backbone gives.
    """

    key = "linear"
    title = "Linear probe"
    year = 2023
    aliases = ("linear head", "BNHead", "linear probing")
    summary = "a norm and one 1x1 convolution; for frozen transformers such as DINOv2"
    source = "Oquab et al. 2023, https://arxiv.org/abs/2304.07193"
    backbone = "vit_small_patch14_dinov2"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {"bn": "norm", "conv_seg": "classify.1"}

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        maps: int = 1,
        norm: str = "batch",
        dropout: float = 0.0,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, maps=maps)
        one_of(NORMS, norm=norm)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout={dropout}: must be from 0 to below 1; e.g. dropout=0.1")
        if maps > len(channels):
            raise InputError(
                f"maps={maps}: the backbone gives {len(channels)}; take so many or fewer, or, on a"
                f" plain transformer, backbone_options={{'out_indices': {maps}}}"
            )
        self.maps = maps
        first, *others = channels[-maps:]
        self.add_upsamplers(upsampler, [(c, first) for c in others], lacking=ONE)
        width = sum(channels[-maps:])
        kinds = {"batch": nn.BatchNorm2d, "layer": ChannelNorm}
        self.norm: nn.Module = kinds[norm](width) if norm in kinds else nn.Identity()
        self.classify = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, outputs, 1))
        nn.init.normal_(self.classify.get_parameter("1.weight"), std=0.01)
        nn.init.zeros_(self.classify.get_parameter("1.bias"))

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest map that is read."""
        return self.classify(self.norm(torch.cat(self.at_first(features[-self.maps :]), dim=1)))
