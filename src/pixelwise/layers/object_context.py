"""Object context: every pixel asks the regions of the picture what it belongs to.

For pixels x_n in R^c and the guide's logits l_rn of k regions,

    P_r = softmax_n(scale l_rn)                    where region r lies
    f_r = sum_n P_rn x_n                           what it looks like     (one vector per region)
    q_n, k_r, v_r = fq(x_n), fk(f_r), fv(f_r)      layers of convolution, norm, ReLU: 2, 2 and 1
    A_nr = softmax_r(q_n . k_r / sqrt(d))          how much pixel n belongs to region r
    z_n = relu(norm(Wu sum_r A_nr v_r))            what its regions say
    y_n = relu(norm(Wy [z_n, x_n]))                with what was there

Source: Yuan et al., "Object-Contextual Representations for Semantic Segmentation", ECCV 2020,
https://arxiv.org/abs/1909.11065.
Reference: github.com/HRNet/HRNet-Semantic-Segmentation, lib/models/seg_hrnet_ocr.py (MIT),
SpatialGather_Module and SpatialOCR_Module; github.com/openseg-group/openseg.pytorch (MIT),
lib/models/modules/spatial_ocr_block.py, is `bias=True`; mmsegmentation's OCRHead has HRNet's.
Differences: `scale` of the gathering is a name apart from that of the pooling, here `pool`; Wu is
applied to the k regions, since it commutes with the mixture; the concatenation is never written.
Norms are batch norms; InPlaceABN is a batch norm with `activation="leaky_relu"`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import FusionLayer, Heads, Limits, Maps, pixel_index
from pixelwise.layers.benchmarked import Size
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import ACTIVATIONS, conv_norm
from pixelwise.layers.shared.pointwise import (
    formatted,
    one_layer_keys,
    pointwise,
    two_layer_keys,
    two_layers,
    with_batch_norms,
)
from pixelwise.layers.shared.region_mixing import belonging, mixed_regions
from pixelwise.ops.corners import corners
from pixelwise.ops.regions import gather_regions, of_its_size, region_maps


class ObjectAttention(ReferenceWeights):
    """Mix the regions for every pixel: z of the equations above, from x and f.

    Its options are those of `ObjectContext`. In training it refuses one region of one image.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        **two_layer_keys("f_pixel", "query"),
        **two_layer_keys("f_object", "keys"),
        **one_layer_keys("f_down", "value"),
        **one_layer_keys("f_up", "expand"),
        # mmsegmentation's names.
        **two_layer_keys("query_project", "query"),
        **two_layer_keys("key_project", "keys"),
        **one_layer_keys("value_project", "value"),
        **one_layer_keys("out_project", "expand"),
    }

    def __init__(
        self,
        channels: int,
        *,
        key_channels: int | None = None,
        pool: int = 1,
        bias: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        inner = max(1, channels // 2) if key_channels is None else key_channels
        at_least(1, channels=channels, key_channels=inner, pool=pool)
        one_of(ACTIVATIONS, activation=activation)
        self.pool, self.activation = pool, activation
        self.query, self.keys = (
            two_layers(channels, inner, bias=bias, activation=activation) for _ in range(2)
        )
        self.value = conv_norm(channels, inner, bias=bias, activation=activation)
        self.expand = conv_norm(inner, channels, bias=bias, activation=activation)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN."""
        return with_batch_norms(state_dict, self.activation)

    def forward(
        self, x: Float[Tensor, "b c h w"], regions: Float[Tensor, "b c k"]
    ) -> Float[Tensor, "b c h w"]:
        """What the regions of every pixel say; `regions` as from `gather_regions`."""
        _several(self, regions)
        pooled, column = self.pooled(x), regions[..., None]
        query = self.query(pooled).flatten(2)  # (b, d, n)
        key, value = (part(column)[..., 0] for part in (self.keys, self.value))  # (b, d, k)
        scores = torch.einsum("bdn,bdk->bnk", query, key) * key.shape[1] ** -0.5
        weights = scores.softmax(dim=2)  # over the regions
        said = torch.einsum("bnk,bdk->bdn", weights, value)
        z = self.expand(torch.unflatten(said, 2, pooled.shape[2:]))
        return self.resized(z, x)

    def lean(
        self, x: Float[Tensor, "b c h w"], regions: Float[Tensor, "b c k"]
    ) -> Float[Tensor, "b c h w"]:
        """Convolutions as products, with fixed norms in them; `expand` is applied to regions."""
        _several(self, regions)
        pooled = self.pooled(x)
        weights = self.weights(pooled, regions)
        z = mixed_regions(self.value, self.expand, regions, weights)
        return self.resized(z.view(x.shape[0], -1, *pooled.shape[2:]), x)

    def weights(
        self, pooled: Float[Tensor, "b c i j"], regions: Float[Tensor, "b c k"]
    ) -> Float[Tensor, "b k n"]:
        """How much each pixel of the pooled map belongs to each region."""
        return belonging(self.query, self.keys, pooled.flatten(2), regions)

    def pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """The map whose pixels are compared with the regions."""
        return x if self.pool == 1 else F.max_pool2d(x, self.pool)

    def resized(self, z: Float[Tensor, "b c i j"], x: Tensor) -> Float[Tensor, "b c h w"]:
        """What the pooled pixels hear, at the size of x."""
        if self.pool == 1:
            return z
        return F.interpolate(z, size=x.shape[2:], mode="bilinear", align_corners=True)


def _several(part: nn.Module, regions: Float[Tensor, "b c k"]) -> None:
    if part.training and regions.shape[0] == regions.shape[2] == 1:
        raise InputError(
            "guide=1 region of 1 image: the norms of key and value need at least two values in "
            "training; give more images or more regions, or call eval()"
        )


class ObjectContext(FusionLayer):
    """Fuse every pixel with a mixture of the regions that a guide, rough logits, tells.

    Args:
        channels: Channels c of the features.
        key_channels: Width d of query, key and value; None is half of `channels`.
        out_channels: Channels o of the output; None is `channels`.
        dropout: Probability with which a channel of the output is dropped in training.
        scale: Factor on the guide, before its softmax over pixels.
        pool: Pixels are compared as maxima of windows of pool x pool; what the regions say is
            brought back to the input's size bilinearly, with aligned corners.
        bias: Whether the convolutions have biases.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.

    Shape:
        (b, c, h, w), (b, k, h, w) -> (b, o, h, w), for any k, and any h and w from `pool` up.

    Cost:
        2 k c + k d multiply-adds per pixel, beside its convolutions; memory linear in h * w.

    Raises:
        InputError: An option is out of range; the guide is of another height or width than the
            features; the map is smaller than a pooling window.

    In training, the norms of key and value see one value per region and image only.
    """

    key: ClassVar[str] = "ocr"
    title: ClassVar[str] = "Object-contextual representations"
    year: ClassVar[int] = 2020
    aliases: ClassVar[tuple[str, ...]] = (
        "OCRNet",
        "SpatialOCR_Module",
        "SpatialOCR",
        "ObjectAttentionBlock2D",
        "ObjectAttentionBlock",
        "object contextual representation",
    )
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("sum", "region")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "object_context_block": "attention",
        **one_layer_keys("conv_bn_dropout", "fusion"),
        **one_layer_keys("object_context_block.bottleneck", "fusion"),  # mmsegmentation's
    }

    def __init__(
        self,
        channels: int,
        *,
        key_channels: int | None = None,
        out_channels: int | None = None,
        dropout: float = 0.1,
        scale: float = 1.0,
        pool: int = 1,
        bias: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__(channels)
        outputs = channels if out_channels is None else out_channels
        at_least(1, out_channels=outputs)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout={dropout}: must be at least 0 and below 1; e.g. 0.05")
        self.scale, self.activation = scale, activation
        self.keeps_shape, self.limits = outputs == channels, Limits(least=pool)
        self.attention = ObjectAttention(
            channels, key_channels=key_channels, pool=pool, bias=bias, activation=activation
        )
        self.fusion = conv_norm(2 * channels, outputs, bias=bias, activation=activation)
        self.dropout = nn.Dropout2d(dropout)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN."""
        return with_batch_norms(state_dict, self.activation)

    def plain(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b k i j"]
    ) -> Float[Tensor, "b o h w"]:
        """Gather the regions, ask them for every pixel, and fuse the answer with the pixel."""
        of_its_size(guide, x)
        where = (self.scale * guide.flatten(2)).softmax(dim=2)  # of each region, over the pixels
        regions = torch.einsum("bkn,bcn->bck", where, x.flatten(2))
        z = self.attention(x, regions)  # a softmax over the regions, for each pixel
        return self.dropout(self.fusion(torch.cat([z, x], dim=1)))

    def lean(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b k i j"]
    ) -> Float[Tensor, "b o h w"]:
        """Convolutions as products, with fixed norms in them; no concatenation is written."""
        return self.fuse(x, gather_regions(x, guide, self.scale))

    def fuse(
        self, x: Float[Tensor, "b c h w"], regions: Float[Tensor, "b c k"]
    ) -> Float[Tensor, "b o h w"]:
        """The output, from regions that are gathered already."""
        z = self.attention.lean(x, regions)
        fused = pointwise(self.fusion, z.flatten(2), x.flatten(2))
        return formatted(self.dropout(fused.view(x.shape[0], -1, *x.shape[2:])), x)

    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b k i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Weights with which the pixel `at` sees all pixels; a head is its way through a region.

        The sum over pixels of a head is how much the pixel belongs to the region, the sum over
        heads where it looks. With `pool`, a pixel is a mixture of the pooled ones around it.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        pixel_index(x, at)
        assert at is not None
        pooled = self.attention.pooled(x)
        size, full = (pooled.shape[2], pooled.shape[3]), (x.shape[2], x.shape[3])
        regions = gather_regions(x, guide, self.scale)
        weights = self.attention.weights(pooled, regions)
        found = corners(at, full, size)
        mixed = [weights[:, :, i * size[1] + j] * share for i, j, share in found]
        own = torch.stack(mixed).sum(0)
        heads = own[:, :, None] * region_maps(guide, self.scale)
        return Maps(spatial=heads.view(*heads.shape[:2], *full))

    @classmethod
    def benchmark_guide(cls, options: Mapping[str, Any], size: Size) -> Size:
        """Logits of 19 classes, of the pixels themselves."""
        return (size[0], 19, *size[2:])
