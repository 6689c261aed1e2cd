"""Heat maps that a network is trained to give: a bump at the place of each point.

With the place c of a point in cells (whole numbers at their centres), ours is

    T(y, x) = exp(-|(x, y) - c|^2 / (2 sigma^2))

over the whole map, at c as it is: no rounding, no cut. Its weight in the loss is 0 where the point
is missing or outside of the picture. The others are in `published_targets`; they lie in the picture
in ways of their own (`placing`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

import pixelwise.tasks.keypoints.published_targets as published
from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.bumps import Drawn, bump, product
from pixelwise.tasks.keypoints.placing import Stride, cells_of
from pixelwise.tasks.keypoints.published_targets import OFFSET_RADIUS


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
    along_y, along_x = (bump(places[..., axis], size[1 - axis], sigma) for axis in (1, 0))
    return product(along_y, along_x, weights > 0), weights


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
    "simple_baseline": Target(published.simple_baseline, "integers"),
    "dark": Target(published.dark, "corners"),
    "msra_unbiased": Target(published.msra_unbiased, "integers"),
    "udp": Target(published.udp, "corners"),
    "udp_offset": Target(published.udp_offset, "corners", OFFSET_RADIUS, maps=3),
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
