"""The frame in which several networks set contexts beside the last feature map.

    c_1, c_2, ...                            contexts of x, the last feature map: each network's own
    y = relu(norm(W3 * [x, c_1, c_2, ...]))  a 3x3 convolution
    logits = W1 dropout(y)                   and one convolution on x3, as an auxiliary output

Reference: mmsegmentation's decode heads (Apache-2.0), version 1.2.2, which call W3 "bottleneck" and
W1 "conv_seg", with the auxiliary head and the weight of its configs.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, conv_modules


class JoinedContexts(Decoder):
    """Contexts beside the feature map, one convolution that joins them, a classifier.

    A subclass makes its contexts and `join`, then calls `add_heads`.

    Args:
        channels: Widths of the feature maps, finest first; the last two are used.
        outputs: Logits per pixel.
        width: Channels of each context and of the convolution that joins them; None is a quarter
            of the last feature map's.
        auxiliary: Train a second head on the feature map before the last.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    """

    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}
    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"bottleneck": "join"}),
        "conv_seg": "classify.1",
    }
    join: nn.Sequential
    """The convolution that sees the feature map beside its contexts."""

    def add_heads(
        self, channels: Sequence[int], outputs: int, *, width: int, auxiliary: bool
    ) -> None:
        """The classifier of a map of `width` channels, and the auxiliary head where wanted."""
        self.classify = classifier(width, outputs)
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    def joined(
        self, x: Float[Tensor, "b c h w"], contexts: Sequence[Float[Tensor, "b _ h w"]]
    ) -> Float[Tensor, "b k h w"]:
        """Logits of the map beside its contexts."""
        return self.classify(self.join(torch.cat([x, *contexts], dim=1)))
