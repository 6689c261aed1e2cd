"""Asymmetric non-local network: pixels attend to the means of bins, of two feature maps.

    block(h, l) = norm(W [attention of h to means over bins of l, h])
    f = dropout(block(x4, x3))                          fusion of two feature maps
    y = relu(norm(W3 * f))                              a 3x3 convolution
    logits = W1 dropout(relu(block'(y, y)))             there Wq is Wk; and one convolution on x3

The grids of 1, 3, 6 and 8 bins per axis make 110 keys in place of all pixels; see
`layers/binned_attention.py`.

Source: Zhu et al., "Asymmetric Non-local Neural Networks for Semantic Segmentation", 2019,
https://arxiv.org/abs/1908.07678.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/ann_head.py
(Apache-2.0), version 1.2.2. Differences: projections of the mixtures are applied to the bins; query
scales other than 1 are refused, since the reference cannot run them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import translated_part
from pixelwise.layers.shared.binned_attention import BinnedAttention, BinnedAttentionBlock
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width, share


class ANN(JoinedContexts):
    """Attention of the last feature map to bins of the one before, then of itself.

    Args: as `JoinedContexts` has them, and
        key_width: Channels of queries, keys and values; None is half of `width`.
        pool_scales: Bins per axis of each grid of keys.
        query_scales: 1 for each attention of a block; their sum is what a pixel sees.

    Shape: feature maps, the last of them (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for a grid or a width below 1, or a query scale that is not 1.
    """

    key = "ann"
    title = "Asymmetric non-local neural network"
    year = 2019
    aliases = ("ANNHead", "AsymmetricNonLocalNet")
    summary = "pixels attend to 110 means over bins, of two feature maps"
    source = "Zhu et al. 2019, https://arxiv.org/abs/1908.07678"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **JoinedContexts.reference_keys,
        **conv_modules({"bottleneck": "reduce"}),  # here each block joins
        "fusion": "fusion",
        "context": "context",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        key_width: int | None = None,
        pool_scales: Sequence[int] = (1, 3, 6, 8),
        query_scales: Sequence[int] = (1,),
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        low, high = channels[-2:] if len(channels) > 1 else (channels[0], channels[0])
        hidden = inner_width(high, width)
        inner = share(hidden, 2, key_width)
        at_least(1, key_width=inner, pool_scales=min(pool_scales, default=0))
        if not query_scales or set(query_scales) != {1}:
            raise InputError(
                f"query_scales={tuple(query_scales)}: must be ones, one per attention; e.g. (1,)"
            )

        def stages(high: int, low: int, *, shared: bool) -> list[BinnedAttention]:
            scales = tuple(pool_scales)
            return [BinnedAttention(high, low, inner, scales, shared=shared) for _ in query_scales]

        self.fusion = BinnedAttentionBlock(stages(high, low, shared=False), high, None)
        self.dropout = nn.Dropout2d(0.1)
        self.reduce = conv_norm(high, hidden, 3)
        self.context = BinnedAttentionBlock(stages(hidden, hidden, shared=True), hidden, "relu")
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with each shared projection once."""
        for i, stage in enumerate(self.context.stages):
            assert isinstance(stage, BinnedAttention)
            state_dict = translated_part(state_dict, f"context.stages.{i}", stage)
        return state_dict

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last two feature maps."""
        low, high = (features[-2], features[-1]) if len(features) > 1 else (features[0],) * 2
        y = self.reduce(self.dropout(self.fusion(high, low)))
        return self.classify(self.context(y, y))
