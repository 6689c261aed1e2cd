"""Attention of every pixel to the window around it.

For one head, a query i that stands at pixel s i, and the k x k pixels j around it, the map
mirrored beyond its border,

    A_ij = softmax_j(q_i . k_j / sqrt(d))     where query i looks
    o_i = sum_j A_ij v_j                      what it sees
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain
from pixelwise.ops.running.precision import statistics_dtype


def reference(
    query: Float[Tensor, "b m d i j"],
    key: Float[Tensor, "b m d h w"],
    value: Float[Tensor, "b m e h w"],
    kernel_size: int,
    stride: int = 1,
) -> Float[Tensor, "b m e i j"]:
    """Attention in windows as the equations say."""
    kind = statistics_dtype(value)
    keys, values = (_windows(z.to(kind), kernel_size, stride) for z in (key, value))
    score = torch.einsum("bmdij,bmdijkl->bmijkl", query.to(kind), keys) * query.shape[2] ** -0.5
    weights = score.flatten(-2).softmax(dim=-1).view(score.shape)
    return torch.einsum("bmeijkl,bmijkl->bmeij", values, weights).to(value.dtype)


def _windows(z: Tensor, kernel_size: int, stride: int) -> Tensor:
    padded = F.pad(z.flatten(0, 1), (kernel_size // 2,) * 4, mode="reflect")
    windows = padded.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    return windows.view(*z.shape[:2], *windows.shape[1:])


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    tiling = ctx.tiling
    plain = functools.partial(reference, kernel_size=tiling.kernel_size, stride=tiling.stride)
    return plain, ctx.saved_tensors[:3]
