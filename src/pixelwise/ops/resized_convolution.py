"""Convolution of small maps that are resized to a large one, which is never written.

    y = W * [up(z_1), up(z_2), ...]         z_s: (b, c_s, i_s, j_s), up: bilinear; zeros around

A pixel m of z_s becomes a fixed map U_m of the large size, and tap t of W sees it shifted. Hence

    y_n = sum_s,m,t (W_t z_sm) U_tmn        one product, with k k sum_s (i_s j_s) terms per pixel

in place of k k sum_s c_s: a few hundred in place of thousands where a pyramid of means is joined.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def reference(
    coarse: Sequence[Float[Tensor, "b _ _ _"]],
    weight: Float[Tensor, "o c k k"],
    like: Float[Tensor, "b _ h w"],
    align_corners: bool,
) -> Float[Tensor, "b o h w"]:
    """Resize, concatenate, convolve."""
    maps = [_resized(z, like, align_corners) for z in coarse]
    return F.conv2d(torch.cat(maps, dim=1), weight, padding=weight.shape[-1] // 2)


def resized_convolution(
    coarse: Sequence[Float[Tensor, "b _ _ _"]],
    weight: Float[Tensor, "o c k k"],
    like: Float[Tensor, "b _ h w"],
    align_corners: bool,
) -> Float[Tensor, "b o h w"]:
    """The maps of `coarse`, resized to the size of `like`, as `weight` convolves all of them.

    The side k of `weight` is odd. Meant for maps of fewer pixels than channels.
    """
    out, side, start = weight.shape[0], weight.shape[-1], 0
    terms, basis = [], []
    for z in coarse:
        b, c, i, j = z.shape
        taps = weight[:, start : start + c].permute(0, 2, 3, 1).reshape(-1, c)  # (o k k, c)
        seen = torch.matmul(taps, z.flatten(2)).view(b, out, side**2, i * j)
        terms.append(seen.mT.flatten(2))
        one = torch.eye(i * j, dtype=z.dtype, device=z.device).view(1, i * j, i, j)
        basis.append(F.unfold(_resized(one, like, align_corners), side, padding=side // 2)[0])
        start += c
    y = torch.matmul(torch.cat(terms, dim=2), torch.cat(basis))
    return y.view(*y.shape[:2], *like.shape[2:])


def _resized(z: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    return F.interpolate(z, size=like.shape[2:], mode="bilinear", align_corners=align_corners)
