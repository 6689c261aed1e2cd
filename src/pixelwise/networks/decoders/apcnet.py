"""Adaptive pyramid context network: every pixel mixes the means of bins as it sees fit.

For each grid of s x s bins, s = 1, 2, 3, 6, on the last feature map x,

    y = relu(norm(Wy * x)),  p = relu(norm(Wp * bins_s(x)))
    g = relu(norm(Wg * mean(y)))                     what the picture shows on average
    a_nj = sigmoid(Wa_j (y_n + g) + ba_j)            how much pixel n takes of bin j
    z_n = relu(y_n + relu(norm(Wz sum_j a_nj p_j)))
    c_s = relu(norm(Wf * z))
    logits = W1 dropout(relu(norm(W3 * [x, c_1, ...])))    and one convolution on x3, as an
                                                           auxiliary output

Source: He et al., "Adaptive Pyramid Context Network for Semantic Segmentation", 2019, CVPR,
https://openaccess.thecvf.com/content_CVPR_2019/html/He_Adaptive_Pyramid_Context_Network_for_Semantic_Segmentation_CVPR_2019_paper.html.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/apc_head.py
(Apache-2.0), version 1.2.2. Differences: Wz is applied to the bins, since it commutes with the
mixture, and Wa to y and g apart.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import affine, finish, formatted, pointwise, product
from pixelwise.networks.joined import JoinedContexts
from pixelwise.networks.parts import conv_modules, inner_width, refuse_one_image
from pixelwise.ops.binned_mean import binned_mean

MOST_SCALES = 16
"""Checkpoints with more grids than this have no names here."""


class AdaptiveContext(ReferenceWeights):
    """Mixtures of the means of one grid of bins."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        **conv_modules({"pooled_redu_conv": "bins", "input_redu_conv": "reduce"}),
        **conv_modules({"global_info": "average", "residual_conv": "mixed", "fusion_conv": "fuse"}),
        "gla": "affinity",
    }

    def __init__(self, channels: int, width: int, pool_scale: int, *, fusion: bool) -> None:
        super().__init__()
        self.pool_scale = pool_scale
        self.bins = conv_norm(channels, width)
        self.reduce = conv_norm(channels, width)
        self.average = conv_norm(width, width)
        self.affinity = nn.Conv2d(width, pool_scale**2, kernel_size=1)
        self.mixed = conv_norm(width, width)
        self.fuse = conv_norm(width, width) if fusion else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """What each pixel takes of the bins, and what it has."""
        y = pointwise(self.reduce, x.flatten(2))
        average = pointwise(self.average, y.mean(dim=2, keepdim=True))
        weight = self.affinity.weight.flatten(1)
        shares = product(weight, None, y) + product(weight, self.affinity.bias, average)
        bins = pointwise(self.bins, binned_mean(x, self.pool_scale).flatten(2))
        weight, bias = affine(self.mixed)
        z = torch.bmm(product(weight, None, bins), shares.sigmoid())
        z = finish(self.mixed, z if bias is None else z + bias.to(z.dtype)[:, None])
        z = (z + y).relu()
        z = z if self.fuse is None else pointwise(self.fuse, z)
        return formatted(z.view(x.shape[0], -1, *x.shape[2:]), x)


class APCNet(JoinedContexts):
    """Adaptive mixtures of means over grids of bins, beside the last feature map.

    Args: as `JoinedContexts` has them, and
        pool_scales: Bins per axis of each grid.
        fusion: One more 1x1 convolution on each context.

    Raises: InputError for a grid or a width below 1, and in training for one image alone.
    """

    key = "apcnet"
    title = "Adaptive pyramid context network"
    year = 2019
    aliases = ("APCHead",)
    summary = "each pixel mixes means over bins by learned affinities"
    source = "He et al. 2019, CVPR, Adaptive Pyramid Context Network for Semantic Segmentation"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **JoinedContexts.reference_keys,
        **{f"acm_modules.{i}": f"contexts.{i}" for i in range(MOST_SCALES)},
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        fusion: bool = True,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        last = channels[-1]
        hidden = inner_width(last, width)
        at_least(1, pool_scales=min(pool_scales, default=1))
        self.contexts = nn.ModuleList(
            AdaptiveContext(last, hidden, scale, fusion=fusion) for scale in pool_scales
        )
        self.join = conv_norm(last + len(self.contexts) * hidden, hidden, 3)
        self.add_heads(channels, outputs, width=hidden, auxiliary=auxiliary)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map and its contexts."""
        x = features[-1]
        refuse_one_image(self, x)
        return self.joined(x, [context(x) for context in self.contexts])
