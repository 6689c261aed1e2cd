"""Squared errors of heat maps that leave missing points out.

With the outputs o, targets t, weights w per point, B pictures, K points and N cells,

    mse               sum w (o - t)^2 / (N sum w)                 ours
    joints_mse        1/2 mean_k mean_{B,N} (w (o - t))^2         the weight is squared
    joints_mse_whole  the same without 1/2
    ohkm              1/2 mean over B of the mean of the `hardest` largest mean_N (w (o - t))^2
    ohkm_whole        the same without 1/2
    location          -sum w t log softmax(o) / sum w,  over cells, t with the sum 1      ours
    combined          1/2 mean_k [mean (w (o_0 - t_0))^2 + sum_{x,y} mean (w t_0 (o - t))^2]

"combined" is for the three maps per point of "udp_offset". The published losses divide by all
points, missing ones too. If no point counts, the loss is 0 with gradient 0.

Source: Chen et al., "Cascaded Pyramid Network for Multi-Person Pose Estimation", 2018,
https://arxiv.org/abs/1711.07319 (ohkm); Huang et al. 2020, https://arxiv.org/abs/1911.07524.
Reference: github.com/leoxiaobin/deep-high-resolution-net.pytorch, lib/core/loss.py (MIT), whose
ohkm fails for one picture, here it does not; github.com/HuangJunJie2017/UDP-Pose,
mmpose/models/losses/mse_loss.py (Apache-2.0): `joints_mse_whole`, `ohkm_whole`, `combined`.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.together import mean, total

Loss = Callable[[Tensor, Tensor, Tensor], Float[Tensor, ""]]
"""(outputs (b, c, h, w), targets, weights (b, k)) -> a number."""


def heatmap_loss(loss: str = "mse", *, hardest: int = 8) -> Loss:
    """A loss by name, computed in float32 at least.

    Args:
        loss: A key of `HEATMAP_LOSSES`.
        hardest: Points per picture that "ohkm" counts; all, where there are fewer.

    Raises:
        InputError: An unknown loss, or no point to count; of the function: maps that are not three
            per point for "combined".
    """
    one_of(tuple(HEATMAP_LOSSES), loss=loss)
    at_least(1, hardest=hardest)

    def of(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        wide = torch.promote_types(outputs.dtype, torch.float32)
        each = weights.shape[1] * (3 if loss == "combined" else 1)
        if loss == "combined" and outputs.shape[1] != each:
            raise InputError(
                f"loss='combined': needs {each} maps for {weights.shape[1]} points, not"
                f" {outputs.shape[1]}; take target 'udp_offset'"
            )
        return HEATMAP_LOSSES[loss](outputs.to(wide), targets.to(wide), weights.to(wide), hardest)

    return of


def _mse(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    each = weights.repeat_interleave(outputs.shape[1] // weights.shape[1], dim=1)
    errors = ((outputs - targets) ** 2).mean(dim=(2, 3))
    errors = torch.where(each > 0, errors * each, 0)
    return total(errors.sum()) / total(each.sum()).clamp(min=torch.finfo(errors.dtype).tiny)


def _location(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    share = targets.flatten(2)
    mass = share.sum(dim=2, keepdim=True)
    share = share / mass.clamp(min=torch.finfo(share.dtype).tiny)
    each = -(share * outputs.flatten(2).log_softmax(dim=2)).sum(dim=2)
    each = torch.where(weights > 0, each * weights, 0)
    return total(each.sum()) / total(weights.sum()).clamp(min=torch.finfo(each.dtype).tiny)


def _of_points(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """mean_N (w (o - t))^2, per picture and point."""
    return (weights[..., None, None] * (outputs - targets)).square().mean(dim=(2, 3))


def _joints_mse(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    return _joints_mse_whole(outputs, targets, weights, hardest) / 2


def _joints_mse_whole(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    return mean(_of_points(outputs, targets, weights))


def _ohkm(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    return _ohkm_whole(outputs, targets, weights, hardest) / 2


def _ohkm_whole(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    errors = _of_points(outputs, targets, weights)
    return mean(errors.topk(min(hardest, errors.shape[1]), dim=1).values)


def _combined(outputs: Tensor, targets: Tensor, weights: Tensor, hardest: int) -> Tensor:
    disc, *ways = (outputs[:, i::3] for i in range(3))
    true_disc, *true_ways = (targets[:, i::3] for i in range(3))
    weight = weights[..., None, None]
    found = mean((weight * (disc - true_disc)).square())
    for way, true_way in zip(ways, true_ways, strict=True):
        found = found + mean((weight * true_disc * (way - true_way)).square())
    return found / 2


HEATMAP_LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "mse": _mse,
    "location": _location,
    "joints_mse": _joints_mse,
    "joints_mse_whole": _joints_mse_whole,
    "ohkm": _ohkm,
    "ohkm_whole": _ohkm_whole,
    "combined": _combined,
}
"""The losses by name."""
