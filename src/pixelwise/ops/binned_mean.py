"""Mean of a map over a grid of bins: what pyramid pooling takes.

    y_ij = mean of x_rc over r in R_i, c in C_j
    R_i = floor(i h / s) ... ceil((i + 1) h / s) - 1        s bins per axis, C_j likewise from w

The bins cover the map. They overlap where s does not divide the size, and repeat pixels where the
map is smaller than s. It is `adaptive_avg_pool2d`, which is fastest but is traced wrongly where the
size is free: there, the mean is a product with one matrix per axis,

    y = R x C^T     R_ir = 1 / |R_i| for r in R_i, else 0

So it is, too, where there are more bins than pixels: a seventh of the time then.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
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


def finer_mean(
    x: Float[Tensor, "b c i j"], like: Float[Tensor, "_ _ h w"]
) -> Float[Tensor, "b c h w"]:
    """The mean over as many bins as `like` has pixels, more than x: those repeat, or are halved."""
    with full_precision(x):
        bins = (torch.arange(size, device=x.device) for size in like.shape[2:])
        rows, columns = (_shares(x, axis, own) for axis, own in zip((2, 3), bins, strict=True))
        return _product(rows, columns, x)


def _by_products(x: Tensor, bins: int) -> Tensor:
    if bins == 1:
        return x.mean(dim=(2, 3), keepdim=True, dtype=statistics_dtype(x)).to(x.dtype)
    rows, columns = (_shares(x, axis, torch.arange(bins, device=x.device)) for axis in (2, 3))
    return _product(rows, columns, x)


def _product(rows: Tensor, columns: Tensor, x: Tensor) -> Tensor:
    return torch.matmul(rows, torch.matmul(x.to(rows.dtype), columns.mT)).to(x.dtype)


def _shares(x: Tensor, axis: int, bins: Int[Tensor, " bins"]) -> Float[Tensor, "bins size"]:
    """What each bin, of which `bins` are the numbers, takes from each place of an axis."""
    size, count, i = x.shape[axis], bins.shape[0], bins[:, None]
    place = torch.arange(size, device=x.device)
    start, stop = i * size // count, ((i + 1) * size + count - 1) // count
    return ((place >= start) & (place < stop)).to(statistics_dtype(x)) / (stop - start)
