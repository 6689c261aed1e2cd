"""The part of object context that networks may use on its own: regions mixed for every pixel.

    q_n, k_r, v_r = fq(x_n), fk(f_r), fv(f_r)      layers of convolution, norm, ReLU: 2, 2 and 1
    A_nr = softmax_r(q_n . k_r / sqrt(d))          how much pixel n belongs to region r
    z_n = relu(norm(Wu sum_r A_nr v_r))            what its regions say

for pixels x_n and regions f_r in R^c; sources and differences are those of `object_context`.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import ACTIVATIONS, conv_norm
from pixelwise.layers.shared.pointwise import (
    affine,
    both_layers,
    finish,
    one_layer_keys,
    pointwise,
    product,
    two_layer_keys,
    two_layers,
    with_batch_norms,
)
from pixelwise.ops.running.precision import full_precision, statistics_dtype


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
        at_least(1, channels=channels)
        inner = max(1, channels // 2) if key_channels is None else key_channels
        at_least(1, key_channels=inner, pool=pool)
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
        if self.training and len(x) == regions.shape[2] == 1:
            raise InputError(
                "one image with one region: the norms of key and value need at least two values in "
                "training; give more images or more regions, or call eval()"
            )
        pooled = self.pooled(x)
        weights = self.weights(pooled.flatten(2), regions)
        weight, bias = affine(self.expand)
        # The weights of a pixel sum to one, so that the bias may come before them.
        columns = product(weight, bias, pointwise(self.value, regions))
        with full_precision(x):
            mixed = torch.bmm(columns.to(weights.dtype), weights).to(x.dtype)
        z = finish(self.expand, mixed).view(len(x), -1, *pooled.shape[2:])
        if self.pool > 1:
            z = F.interpolate(z, size=x.shape[2:], mode="bilinear", align_corners=True)
        return z

    def pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """The map whose pixels are compared with the regions."""
        return x if self.pool == 1 else F.max_pool2d(x, self.pool)

    def weights(
        self, x: Float[Tensor, "b c n"], regions: Float[Tensor, "b c k"]
    ) -> Float[Tensor, "b k n"]:
        """How much each pixel belongs to each region, in the type of statistics."""
        query, key = both_layers(self.query, x), both_layers(self.keys, regions)
        with full_precision(x):
            kind = statistics_dtype(x)
            scaled = key.to(kind) * key.shape[1] ** -0.5
            return torch.bmm(scaled.mT, query.to(kind)).softmax(dim=1)
