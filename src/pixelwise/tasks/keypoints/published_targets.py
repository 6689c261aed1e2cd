"""The targets of published code, in cells of the map; whole numbers are their centres.

With m = int(c + 1/2), r = 3 sigma and T the Gaussian of `bumps`,

    simple_baseline  T around m, zero beyond r of m
    dark             T around c, the whole map
    msra_unbiased    likewise, with another test of what is inside
    udp              T around c, zero beyond r of m
    udp_offset       R = factor * height; three maps per point: d(y, x) = 1 where
                     |a| <= 1 with a = (c - (x, y)) / R, a_x d and a_y d

A point is drawn where it is visible (> 1/2) and its window of r meets the map, and keeps its
visibility as its weight; a window that misses the map makes the weight 0. "udp_offset" tests no
window. int() rounds towards zero, so that a fractional r moves bumps at the left and upper border
by a cell (simple_baseline, udp).

Source: Xiao et al. 2018, https://arxiv.org/abs/1804.06208 (simple_baseline); Zhang et al. 2020,
https://arxiv.org/abs/1910.06278 (dark); Huang et al. 2020, https://arxiv.org/abs/1911.07524 (udp).
Reference: github.com/microsoft/human-pose-estimation.pytorch, JointsDataset.generate_target (MIT);
github.com/ilovepose/DarkPose, likewise (Apache-2.0); github.com/HuangJunJie2017/UDP-Pose,
TopDownGenerateTarget (Apache-2.0). No differences.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.tasks.keypoints.bumps import Drawn, bump, numbers, product

OFFSET_RADIUS = 0.0546875
"""Radius of "udp_offset" as a share of the map's height: the authors' 3.5 of 64 cells."""


def simple_baseline(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    sigma: float = 2.0,
) -> Drawn:
    """A Gaussian at the rounded place, cut at 3 sigma."""
    return _windowed(cells, visible, size, sigma, rounded=True)


def udp(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    sigma: float = 2.0,
) -> Drawn:
    """A Gaussian at the very place, cut at 3 sigma of the rounded place."""
    return _windowed(cells, visible, size, sigma, rounded=False)


def dark(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    sigma: float = 2.0,
) -> Drawn:
    """A Gaussian over the whole map, if the 3 sigma window in whole cells meets it."""
    reach = 3 * sigma
    return _whole(cells, visible, size, sigma, (cells - reach).trunc(), (cells + reach + 1).trunc())


def msra_unbiased(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    sigma: float = 2.0,
) -> Drawn:
    """A Gaussian over the whole map, if the 3 sigma window meets it."""
    reach = 3 * sigma
    return _whole(cells, visible, size, sigma, cells - reach, cells + reach + 1)


def udp_offset(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    factor: float = OFFSET_RADIUS,
) -> Drawn:
    """A disc and the way to the point in it: maps 3 k, 3 k + 1 (x) and 3 k + 2 (y)."""
    radius = factor * size[0]
    shape = (*cells.shape[:2], *size)
    x, y = ((cells[..., a, None] - numbers(cells, size[1 - a])) / radius for a in (0, 1))
    way_x, way_y = x[..., None, :].expand(*shape), y[..., :, None].expand(*shape)
    disc = (way_x**2 + way_y**2 <= 1) & (visible > 0.5)[..., None, None]
    maps = torch.stack([torch.ones_like(way_x), way_x, way_y], dim=2)
    return torch.where(disc[:, :, None], maps, 0).flatten(1, 2), visible


def _windowed(
    cells: Tensor, visible: Tensor, size: tuple[int, int], sigma: float, *, rounded: bool
) -> Drawn:
    reach = 3 * sigma
    middle = (cells + 0.5).trunc()
    low, high = (middle - reach).trunc(), (middle + reach + 1).trunc()
    centre = low + (2 * reach + 1) // 2
    if not rounded:
        centre = centre + (cells - middle)

    def along(axis: int) -> Tensor:
        i = numbers(cells, size[1 - axis])
        window = (i >= low[..., axis, None]) & (i < high[..., axis, None])
        return bump(centre[..., axis], size[1 - axis], sigma) * window

    weights = _met(visible, low, high, size)
    return product(along(1), along(0), weights > 0.5), weights


def _whole(
    cells: Tensor, visible: Tensor, size: tuple[int, int], sigma: float, low: Tensor, high: Tensor
) -> Drawn:
    along_y, along_x = (bump(cells[..., axis], size[1 - axis], sigma) for axis in (1, 0))
    weights = _met(visible, low, high, size)
    return product(along_y, along_x, weights > 0.5), weights


def _met(visible: Tensor, low: Tensor, high: Tensor, size: tuple[int, int]) -> Tensor:
    """The visibility of points whose window meets the map, 0 for others."""
    edge = torch.tensor([size[1], size[0]], dtype=low.dtype, device=low.device)
    return torch.where(((low < edge) & (high >= 0)).all(dim=-1), visible, 0)
