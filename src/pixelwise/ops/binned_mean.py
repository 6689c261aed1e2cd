"""Mean of a map over a grid of bins: what pyramid pooling takes.

    y_ij = mean of x_rc over r in R_i, c in C_j
    R_i = floor(i h / s) ... ceil((i + 1) h / s) - 1        s bins per axis, C_j likewise from w

The bins cover the map. They overlap where s does not divide the size, and repeat pixels where the
map is smaller than s. It is `adaptive_avg_pool2d`, which is fastest but is traced wrongly where the
size is free: there, the mean is a product with one matrix per axis,

    y = R x C^T     R_ir = 1 / |R_i| for r in R_i, else 0
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def reference(x: Float[Tensor, "b c h w"], bins: int) -> Float[Tensor, "b c bins bins"]:
    """The mean over bins x bins bins, as torch has it."""
    return F.adaptive_avg_pool2d(x, bins)


def binned_mean(x: Float[Tensor, "b c h w"], bins: int) -> Float[Tensor, "b c bins bins"]:
    """The mean over bins x bins bins."""
    with full_precision(x):
        if choice.form("binned_mean", x) == "traced":
            return _by_products(x, bins)
        return reference(x, bins)


def _by_products(x: Tensor, bins: int) -> Tensor:
    kind = statistics_dtype(x)
    if bins == 1:
        return x.mean(dim=(2, 3), keepdim=True, dtype=kind).to(x.dtype)
    rows, columns = (_shares(x, axis, bins, kind) for axis in (2, 3))
    return torch.matmul(rows, torch.matmul(x.to(kind), columns.mT)).to(x.dtype)


def _shares(x: Tensor, axis: int, bins: int, kind: torch.dtype) -> Float[Tensor, "bins size"]:
    """What each bin takes from each place of an axis."""
    size = x.shape[axis]
    i, place = torch.arange(bins, device=x.device)[:, None], torch.arange(size, device=x.device)
    start, stop = i * size // bins, ((i + 1) * size + bins - 1) // bins
    return ((place >= start) & (place < stop)).to(kind) / (stop - start)
