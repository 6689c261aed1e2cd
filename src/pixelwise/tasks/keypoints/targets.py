"""Heat maps that a network is trained to give: a bump at the place of each point.

With the place c of a point in cells (whole numbers at their centres), per axis,

    T(i) = exp(-(i - c)^2 / (2 sigma^2)),    T(y, x) = T(y) T(x)

    gaussian         c as it is, the whole map: no rounding, no cut
    simple_baseline  m = int(c + 1/2) in place of c; zero beyond 3 sigma of m
    dark             c as it is, the whole map
    msra_unbiased    likewise, in another placement and with another test of what is inside
    udp              c as it is; zero beyond 3 sigma of m
    udp_offset       R = factor * height; three maps per point: d(y, x) = 1 where
                     |a| <= 1 with a = (c - (x, y)) / R, a_x d and a_y d

The weight of a point is 0 where it has no place in the map, so that a loss leaves it out. Ours is 0
for missing points and for those outside the picture. The published ones keep the visibility that
they are given unless the 3 sigma window misses the map; "udp_offset" always keeps it.

Source: Xiao et al. 2018, https://arxiv.org/abs/1804.06208 (simple_baseline); Zhang et al. 2020,
https://arxiv.org/abs/1910.06278 (dark); Huang et al. 2020, https://arxiv.org/abs/1911.07524 (udp).
Reference: github.com/microsoft/human-pose-estimation.pytorch, JointsDataset.generate_target (MIT);
github.com/ilovepose/DarkPose, likewise (Apache-2.0); github.com/HuangJunJie2017/UDP-Pose,
TopDownGenerateTarget (Apache-2.0). Equal, and so are their flaws: int() rounds towards zero, so a
fractional sigma moves bumps at the left and upper border by a cell (simple_baseline, udp).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.placing import Stride, cells_of

OFFSET_RADIUS = 0.0546875
"""Radius of "udp_offset" as a share of the map's height: the authors' 3.5 of 64 cells."""

Drawn = tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]
"""Maps, and the weight of each point."""


def gaussian(
    cells: Float[Tensor, "b k 2"],
    visible: Float[Tensor, "b k"],
    size: tuple[int, int],
    sigma: float = 2.0,
) -> Drawn:
    """A Gaussian over the whole map at the very place of each point that lies in the map."""
    edge = torch.tensor([size[1], size[0]], dtype=cells.dtype, device=cells.device) - 0.5
    inside = ((cells >= -0.5) & (cells <= edge)).all(dim=-1)  # as many mirrored; NaN is not
    weights = ((visible > 0) & inside).to(cells.dtype)
    places = torch.where(inside[..., None], cells, 0)
    along_y, along_x = (_bump(places[..., axis], size[1 - axis], sigma) for axis in (1, 0))
    return _product(along_y, along_x, weights > 0), weights


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
    x, y = ((cells[..., a, None] - _axis(cells, size[1 - a])) / radius for a in (0, 1))
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
        i = _axis(cells, size[1 - axis])
        window = (i >= low[..., axis, None]) & (i < high[..., axis, None])
        return _bump(centre[..., axis], size[1 - axis], sigma) * window

    weights = _met(visible, low, high, size)
    return _product(along(1), along(0), weights > 0.5), weights


def _whole(
    cells: Tensor, visible: Tensor, size: tuple[int, int], sigma: float, low: Tensor, high: Tensor
) -> Drawn:
    along_y, along_x = (_bump(cells[..., axis], size[1 - axis], sigma) for axis in (1, 0))
    weights = _met(visible, low, high, size)
    return _product(along_y, along_x, weights > 0.5), weights


def _met(visible: Tensor, low: Tensor, high: Tensor, size: tuple[int, int]) -> Tensor:
    """The visibility of points whose window meets the map, 0 for others."""
    edge = torch.tensor([size[1], size[0]], dtype=low.dtype, device=low.device)
    return torch.where(((low < edge) & (high >= 0)).all(dim=-1), visible, 0)


def _axis(like: Tensor, count: int) -> Tensor:
    return torch.arange(count, dtype=like.dtype, device=like.device)


def _bump(centre: Tensor, count: int, sigma: float) -> Tensor:
    return torch.exp(-((_axis(centre, count) - centre[..., None]) ** 2) / (2 * sigma**2))


def _product(along_y: Tensor, along_x: Tensor, drawn: Tensor) -> Tensor:
    maps = along_y[..., :, None] * along_x[..., None, :]
    return torch.where(drawn[..., None, None], maps, 0)


@dataclass(frozen=True)
class Target:
    """A kind of heat map, and how its cells lie in the picture.

    Args:
        draw: (cells, visible, size, spread) -> maps and weights.
        placement: A name of `placing.PLACEMENTS`.
        spread: Default of what `draw` takes last: sigma in cells, or a share of the height.
        maps: Maps per point.
    """

    draw: Callable[[Tensor, Tensor, tuple[int, int], float], Drawn]
    placement: str
    spread: float = 2.0
    maps: int = 1


TARGETS: Mapping[str, Target] = {
    "gaussian": Target(gaussian, "halves"),
    "simple_baseline": Target(simple_baseline, "integers"),
    "dark": Target(dark, "corners"),
    "msra_unbiased": Target(msra_unbiased, "integers"),
    "udp": Target(udp, "corners"),
    "udp_offset": Target(udp_offset, "corners", OFFSET_RADIUS, maps=3),
}
"""The targets by name; "gaussian" is ours."""


def draw_targets(
    points: Float[Tensor, "b k 2"],
    visible: Tensor,
    size: tuple[int, int],
    stride: Stride,
    *,
    target: str = "gaussian",
    spread: float | None = None,
) -> Drawn:
    """The maps of points of a picture, and the weight of each point in the loss.

    Args:
        points: (x, y) in pixels of the picture, the centre of the first at (0.5, 0.5); NaN where a
            point is missing.
        visible: (b, k), 0 where a point is missing, above 0 where it is labelled.
        size: Height and width of the maps.
        stride: Pixels of the picture per cell.
        target: A key of `TARGETS`.
        spread: Sigma in cells, or the radius of "udp_offset" as a share of the height; None: the
            authors'.

    Raises:
        InputError: An unknown target, or a spread that is not above 0.
    """
    one_of(tuple(TARGETS), target=target)
    kind = TARGETS[target]
    wide = kind.spread if spread is None else spread
    if not 0 < wide < float("inf"):
        raise InputError(f"spread={wide}: must be above 0, in cells; {kind.spread} is usual")
    known = (visible > 0) & points.isfinite().all(dim=-1)
    cells = cells_of(torch.where(known[..., None], points, 0), stride, size, kind.placement)
    return kind.draw(cells, known.to(cells.dtype), size, wide)
