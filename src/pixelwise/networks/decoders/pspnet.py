"""Pyramid scene parsing network: what the last feature map shows on average, on four grids.

    p_s = up(relu(norm(Ws * bins_s(x))))    means over s x s bins, for s = 1, 2, 3, 6
    y = relu(norm(W3 * [x, p_1, ...]))      a 3x3 convolution
    logits = W1 dropout(y)                  and one convolution on x3, as an auxiliary output

Source: Zhao et al., "Pyramid Scene Parsing Network", 2017, https://arxiv.org/abs/1612.01105.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/psp_head.py
(Apache-2.0), version 1.2.2. Difference: the part of W3 that sees the means is applied before they
are resized, so that the concatenation is never written. The names of semseg's checkpoints (MIT) are
known too; those resize with `align_corners=True`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width, join_resized, refuse_one_image
from pixelwise.ops.binned_mean import binned_mean

MOST_SCALES = 16
"""Checkpoints with more grids than this have no names here."""


class PSPNet(JoinedContexts):
    """Means over grids of bins, beside the last feature map.

    Args: as `JoinedContexts` has them, and
        pool_scales: Bins per axis of each grid.

    Raises: InputError for a grid or a width below 1, and in training, with a grid of one bin, for
        one image alone.
    """

    key = "pspnet"
    title = "Pyramid scene parsing network"
    year = 2017
    aliases = ("PSPHead", "PSP")
    summary = "means over grids of 1, 2, 3 and 6 bins per axis"
    source = "Zhao et al. 2017, https://arxiv.org/abs/1612.01105"
    reference_keys: ClassVar[Mapping[str, str]] = {
        # mmsegmentation's names.
        **JoinedContexts.reference_keys,
        **conv_modules({f"psp_modules.{i}.1": f"grids.{i}" for i in range(MOST_SCALES)}),
        # semseg's names.
        **{
            f"ppm.features.{i}.{part + 1}": f"grids.{i}.{part}"
            for i in range(MOST_SCALES)
            for part in range(2)
        },
        "cls": "join",
        "cls.4": "classify.1",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        last = channels[-1]
        hidden = inner_width(last, width)
        at_least(1, pool_scales=min(pool_scales, default=1))
        self.pool_scales = tuple(pool_scales)
        self.grids = nn.ModuleList(conv_norm(last, hidden) for _ in pool_scales)
        self.join = conv_norm(last + len(self.grids) * hidden, hidden, 3)
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map and its means."""
        x = features[-1]
        if 1 in self.pool_scales:
            refuse_one_image(self, x)
        means = [
            grid(binned_mean(x, bins))
            for grid, bins in zip(self.grids, self.pool_scales, strict=True)
        ]
        return self.classify(join_resized(self.join, x, means, align_corners=self.align_corners))
