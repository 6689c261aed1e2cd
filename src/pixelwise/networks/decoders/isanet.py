"""Interlaced sparse self-attention network: pixels attend far, then near.

    y = relu(norm(W1 * x4))          3x3 convolution to a quarter of the width
    z = isa(y)                       every pixel mixed with all others in two sparse steps, fused
    logits = W2 dropout(z)           and one head on x3, as an auxiliary output

Source: Huang et al., "Interlaced Sparse Self-Attention for Semantic Segmentation", 2019,
https://arxiv.org/abs/1907.12273.
Reference: github.com/openseg-group/openseg.pytorch, lib/models/nets/isanet.py (MIT), commit
aefc755. Its InPlaceABN checkpoints are `activation="leaky_relu"`. The auxiliary head drops values
here, whole channels there. mmsegmentation's ISAHead (Apache-2.0) is the same network with
`value_bias=True, dropout=0.1` and an auxiliary head of a quarter of x3's width.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.interlaced_sparse_self_attention import InterlacedSparseSelfAttention
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import one_layer_keys
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import inner_width

VARIANTS = ("code", "article")
ARTICLE_SCALE = 8


class ISANet(Decoder):
    """Interlaced sparse self-attention on the last feature map.

    Args:
        channels: Widths of the feature maps, finest first; the last two are used.
        outputs: Logits per pixel.
        width: Width of the attention; None is a quarter of the last feature map's.
        key_width: Width of its queries and keys; None is half of `width`.
        down_factors: One (height, width) of the cells for each pair of steps, in feature pixels.
        value_bias: Whether the values have biases.
        dropout: Probability with which a channel is dropped before the classifier in training, and
            a value in the auxiliary head.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.
        auxiliary: Train a second head on the feature map before the last.
        auxiliary_width: Its width; None is `width`.
        variant: "code" is the authors' network. "article" is a widespread article's: the attention
            sees the last feature map itself, and behind it come a 3x3 convolution, logits of 3x3
            pixels on the map enlarged 8 times, and no second head.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for an option that is out of range.
    """

    key = "isanet"
    title = "Interlaced sparse self-attention network"
    year = 2019
    aliases = ("ISAHead", "ISA")
    summary = "pixels attend far, then near (isa)"
    source = "Huang et al. 2019, https://arxiv.org/abs/1907.12273"
    align_corners = True
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        **one_layer_keys("isa_head", "reduce"),
        "isa_head.2": "attention",
        "cls_head": "classify",
        # mmsegmentation's names; those of the layer stand beside them.
        **one_layer_keys("in_conv", "reduce"),
        "conv_seg": "classify",
        "": "attention",
        # The article's names.
        "ISAHead": "attention",
        "Conv_1": "convolve",
        "cls_seg": "classify",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        key_width: int | None = None,
        down_factors: Sequence[Sequence[int]] = ((8, 8),),
        value_bias: bool = False,
        dropout: float = 0.05,
        activation: str = "relu",
        auxiliary: bool = True,
        auxiliary_width: int | None = None,
        variant: str = VARIANTS[0],
    ) -> None:
        super().__init__()
        one_of(VARIANTS, variant=variant)
        article = variant == "article"
        inner = inner_width(channels[-1], width)
        beside = inner if auxiliary_width is None else auxiliary_width
        at_least(1, auxiliary_width=beside)
        self.reduce = (
            nn.Identity() if article else conv_norm(channels[-1], inner, 3, activation=activation)
        )
        self.attention = InterlacedSparseSelfAttention(
            channels[-1] if article else inner,
            value_channels=inner,
            out_channels=inner,
            key_channels=key_width,
            down_factors=down_factors,
            dropout=dropout,
            value_bias=value_bias,
            activation=activation,
        )
        self.convolve = (
            nn.Sequential(
                *conv_norm(inner, inner, 3, bias=True, activation=activation),
                nn.Upsample(scale_factor=ARTICLE_SCALE, mode="bilinear", align_corners=True),
            )
            if article
            else nn.Identity()
        )
        side = 3 if article else 1
        self.classify = nn.Conv2d(inner, outputs, kernel_size=side, padding=side // 2)
        self.add_auxiliary(
            channels,
            outputs,
            wanted=auxiliary and not article,
            width=beside,
            dropout=dropout,
            activation=activation,
        )

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` as the attention layer wants it: see there."""
        return self.attention.translated(state_dict)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        return self.classify(self.convolve(self.attention(self.reduce(features[-1]))))
