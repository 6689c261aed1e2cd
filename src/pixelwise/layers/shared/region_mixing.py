"""The lean arithmetic of object attention: how much pixels belong to regions, and what these say.

For pixels x_n and regions f_r in R^c, and parts of `object_context.ObjectAttention`,

    q_n, k_r, v_r = fq(x_n), fk(f_r), fv(f_r)
    A_nr = softmax_r(q_n . k_r / sqrt(d))
    z_n = relu(norm(sum_r A_nr Wu v_r))            Wu is applied to the few regions
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.shared.pointwise import affine, both_layers, finish, pointwise, product
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def belonging(
    query: nn.Sequential,
    keys: nn.Sequential,
    x: Float[Tensor, "b c n"],
    regions: Float[Tensor, "b c k"],
) -> Float[Tensor, "b k n"]:
    """A: how much each pixel belongs to each region, in the type of statistics."""
    q, k = both_layers(query, x), both_layers(keys, regions)
    with full_precision(x):
        kind = statistics_dtype(x)
        scaled = k.to(kind) * k.shape[1] ** -0.5
        return torch.bmm(scaled.mT, q.to(kind)).softmax(dim=1)


def mixed_regions(
    value: nn.Sequential,
    expand: nn.Sequential,
    regions: Float[Tensor, "b c k"],
    weights: Float[Tensor, "b k n"],
) -> Float[Tensor, "b c n"]:
    """z, from A as `belonging` gives it, in the type of the regions."""
    weight, bias = affine(expand)
    # The weights of a pixel sum to one, so that the bias may come before them.
    columns = product(weight, bias, pointwise(value, regions))
    with full_precision(regions):
        mixed = torch.bmm(columns.to(weights.dtype), weights).to(regions.dtype)
    return finish(expand, mixed)
