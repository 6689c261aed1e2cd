"""SegFormer's head: a matrix per pixel of each feature map, joined at the finest.

    y_i = relu(norm(W_i * x_i))                   x_i: the backbone's last feature maps
    z = relu(norm(V * [y_1, up(y_2), ...]))       up: bilinear, to the size of x_1
    logits = U dropout(z)

V sees each map before it is resized: V [y_1, up(y_2), ...] = sum_i up(V_i y_i), since a matrix over
channels and a resizing of pixels commute. That is 1.3 in place of 4 products per fine pixel, and
the joined map is never written.

Source: Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers", NeurIPS 2021, https://arxiv.org/abs/2105.15203.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/segformer_head.py
(Apache-2.0), version 1.2.2. Hugging Face's SegformerDecodeHead (Apache-2.0), and the authors'
files, are `variant="plain"`: y_i = W_i x_i + b_i, joined from the coarsest; their columns of V are
put in order as they are read.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules, join_pointwise

LEVELS = 8
"""How many names of maps are known."""
VARIANTS = ("mmsegmentation", "plain")
REVERSED = ("linear_fuse.weight", "linear_fuse.conv.weight")
"""Weights whose columns are ordered from the coarsest map."""


class SegFormer(Decoder):
    """One 1x1 convolution per feature map, one over all of them.

    Args:
        channels: Widths of the feature maps, finest first; the last four are used.
        outputs: Logits per pixel.
        width: Channels of all convolutions; published are 256 on MiT-B0 and B1, 768 above.
        variant: "mmsegmentation" has a norm and a ReLU behind the convolutions of each map,
            "plain" has a bias.
        dropout: Probability with which a channel is dropped before the classifier in training.
        upsampler: How each map comes to the size of the finest, such as "dysample"; None is
            bilinear. A learnt one stands before V, which then sees the joined map. See `pixelwise
            layers`.

    Shape: finest of the maps used (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for a width below 1 or an unknown variant.
    """

    key = "segformer"
    title = "SegFormer"
    year = 2021
    aliases = ("SegformerHead", "All-MLP decoder", "SegformerForSemanticSegmentation")
    summary = "1x1 convolutions of four maps, joined; on mix transformers (MiT)"
    source = "Xie et al. 2021, https://arxiv.org/abs/2105.15203"
    backbone = "mit_b0"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        # mmsegmentation's names.
        **conv_modules({f"convs.{i}": f"levels.{i}" for i in range(LEVELS)}),
        **conv_modules({"fusion_conv": "fuse"}),
        "conv_seg": "classify.1",
        # Hugging Face's names.
        **{f"linear_c.{i}.proj": f"levels.{i}" for i in range(LEVELS)},
        "linear_fuse": "fuse.0",
        "batch_norm": "fuse.1",
        "classifier": "classify.1",
        # The authors' names.
        **{f"linear_c{i + 1}.proj": f"levels.{i}" for i in range(LEVELS)},
        **conv_modules({"linear_fuse": "fuse"}),
        "linear_pred": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int = 256,
        variant: str = "mmsegmentation",
        dropout: float = 0.1,
        upsampler: str | None = None,
    ) -> None:
        super().__init__()
        at_least(1, width=width)
        one_of(VARIANTS, variant=variant)
        used = list(channels)[-4:]
        plain = variant == "plain"
        self.levels = nn.ModuleList(
            nn.Conv2d(c, width, 1) if plain else conv_norm(c, width) for c in used
        )
        self.add_upsamplers(upsampler, [(width, width)] * (len(used) - 1))
        self.fuse = conv_norm(len(used) * width, width)
        self.classify = classifier(width, outputs, dropout=dropout)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the finest map used."""
        used = features[-len(self.levels) :]
        maps = [level(x) for level, x in zip(self.levels, used, strict=True)]
        if self.upsamplers is not None:
            return self.classify(self.fuse(torch.cat(self.at_first(maps), dim=1)))
        return self.classify(join_pointwise(self.fuse, maps, self.resized))

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict`, its joined maps in the order that they have here."""
        count = len(self.levels)
        return {
            key: torch.cat(value.chunk(count, dim=1)[::-1], dim=1)
            if key in REVERSED and value.ndim > 1 and value.shape[1] % count == 0
            else value
            for key, value in state_dict.items()
        }
