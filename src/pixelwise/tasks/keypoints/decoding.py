"""Heat maps -> points, as tensors throughout, so that an exported network can end with it.

    argmax       the largest cell, a quarter of a cell towards the larger neighbour
    dark, udp    one Newton step on the log of the blurred map (see `peaks`)
    udp_offset   the largest cell of the disc, and the way that the other two maps tell, both
                 blurred within the disc (the authors' 11 cells are wider, and a cell off)
    soft_argmax  sum_i i e^(z_i) / sum_i e^(z_i),  z = 2 log h within 3 sigma of the largest cell

Near the border a blur, or the window of a sum, is cut off, and the published steps go wrong by half
a cell and more. There "dark", "udp" and "soft_argmax" fit a Gaussian to the map instead. With
M(x) = log sum_y h(y, x) over the window, q the cell next to the largest that has both neighbours at
the distance s, and likewise along y,

    x = q - s (M(q + s) - M(q - s)) / (2 (M(q + s) - 2 M(q) + M(q - s)))

which is exact for a Gaussian wherever it is cut. No step is longer than one cell.

Source of soft_argmax: Sun et al., "Integral Human Pose Regression", 2018,
https://arxiv.org/abs/1711.08229. Reference: github.com/JimmySuen/integral-human-pose,
softmax_integral_tensor (MIT); it takes z = h over the whole map, and tells x / width - 1/2.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

import pixelwise.tasks.keypoints.peaks as published
from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.placing import Stride, points_of
from pixelwise.tasks.keypoints.published_targets import OFFSET_RADIUS
from pixelwise.tasks.keypoints.targets import TARGETS

DECODERS = ("argmax", "dark", "udp", "udp_offset", "soft_argmax")

Decoded = tuple[Float[Tensor, "b k 2"], Float[Tensor, "b k"]]
"""Places, and the height of each peak."""


def decode(
    heatmaps: Float[Tensor, "b c h w"],
    method: str = "dark",
    *,
    sigma: float = 2.0,
    radius: float = OFFSET_RADIUS,
) -> Decoded:
    """The place of each map's peak in cells, whole numbers at their centres, and its height.

    A map without a value above 0, or with a NaN, has no place: NaN, and the height 0. Computed in
    float32 at least.

    Args:
        heatmaps: One map per point, three for "udp_offset".
        method: A name of `DECODERS`.
        sigma: Spread of the bumps that the network was trained with, in cells.
        radius: Of "udp_offset", as a share of the maps' height.

    Raises:
        InputError: An unknown method, a sigma that is not above 0, maps without a cell, or a number
            of maps that is no multiple of three for "udp_offset".
    """
    one_of(DECODERS, method=method)
    if not 0 < sigma < math.inf:
        raise InputError(f"sigma={sigma}: must be above 0, in cells; 2 is usual")
    maps = heatmaps.to(torch.promote_types(heatmaps.dtype, torch.float32))
    if 0 in maps.shape[2:]:
        raise InputError(f"heatmaps={tuple(maps.shape)}: must have at least one cell; resize them")
    if method == "udp_offset":
        if maps.shape[1] % 3:
            raise InputError(
                f"method='udp_offset': needs three maps per point, not {maps.shape[1]} maps; take"
                " another method"
            )
        places, scores = _offset(maps, radius)
    else:
        cells, scores = published.peaks(maps)
        places = _refined(maps, cells, method, sigma)
    found = (scores > 0) & scores.isfinite() & places.isfinite().all(dim=-1)
    return torch.where(found[..., None], places, math.nan), torch.where(found, scores, 0)


def decode_points(
    heatmaps: Float[Tensor, "b c h w"],
    stride: Stride,
    method: str = "dark",
    *,
    target: str = "gaussian",
    sigma: float = 2.0,
    radius: float = OFFSET_RADIUS,
) -> Decoded:
    """The same in pixels of the picture, the centre of the first at (0.5, 0.5).

    Args:
        heatmaps: One map per point, three for "udp_offset".
        stride: Pixels of the picture per cell.
        method: A name of `DECODERS`.
        target: The key of `targets.TARGETS` that the network was trained with; it says how cells
            lie in the picture.
        sigma: Spread of the bumps in cells.
        radius: Of "udp_offset".

    Raises:
        InputError: What `decode` raises, or an unknown target.
    """
    one_of(tuple(TARGETS), target=target)
    cells, scores = decode(heatmaps, method, sigma=sigma, radius=radius)
    height, width = heatmaps.shape[2:]
    return points_of(cells, stride, (height, width), TARGETS[target].placement), scores


def soft_argmax(logits: Float[Tensor, "b k *size"]) -> Float[Tensor, "b k axes"]:
    """The mean place under softmax(logits), the last axis first: (x, y), or (x, y, z)."""
    size = logits.shape[2:]
    shares = logits.flatten(2).softmax(dim=2).view(logits.shape)
    means = []
    for axis in reversed(range(len(size))):
        others = [2 + other for other in range(len(size)) if other != axis]
        along = shares.sum(dim=others) if others else shares
        means.append(along @ torch.arange(size[axis], dtype=along.dtype, device=along.device))
    return torch.stack(means, dim=-1)


def _offset(maps: Tensor, radius: float) -> Decoded:
    """The published steps, or the way as it is where the blur is cut off."""
    kernel = 2 * int(radius * maps.shape[2] / math.sqrt(3)) + 1
    places, scores = published.udp_offset(maps, kernel, radius)
    sharp, sharp_scores = published.udp_offset(maps, 1, radius)
    cut = _cut(places, maps, 2 * kernel)
    return torch.where(cut, sharp, places), torch.where(cut[..., 0], sharp_scores, scores)


def _refined(maps: Tensor, cells: Tensor, method: str, sigma: float) -> Tensor:
    if method == "argmax":
        return published.quarter(maps, cells)
    window, kernel = math.ceil(3 * sigma), 2 * math.ceil(2.5 * sigma) + 1
    positive = maps.clamp(min=torch.finfo(maps.dtype).tiny)
    if method == "soft_argmax":
        near = _near(cells, maps, window)
        places = soft_argmax(torch.where(near, 2 * positive.log(), -math.inf))
        reach = window
    elif method == "dark":
        places, reach = published.dark(maps, cells, kernel), kernel // 2 + 2
    else:
        places, reach = published.udp(maps, cells, kernel), kernel // 2 + 1
    near = _near(cells, maps, max(window, 4))  # the values of a fit at a border
    fitted = _fitted(torch.where(near, positive, 0), cells)
    places = torch.where(_cut(cells, maps, reach), fitted, places)
    places = torch.where(places.isfinite(), places, cells.to(places.dtype))
    return torch.minimum(torch.maximum(places, cells - 1.0), cells + 1.0)


def _cut(places: Tensor, maps: Tensor, reach: int) -> Tensor:
    """Whether so many cells around each place go over the border."""
    x, y = places.unbind(dim=-1)
    over = (x < reach) | (x >= maps.shape[3] - reach) | (y < reach) | (y >= maps.shape[2] - reach)
    return over[..., None]


def _near(cells: Tensor, maps: Tensor, window: int) -> Tensor:
    """Which cells of each map are at most `window` from its peak, on both axes."""
    x, y = (
        (torch.arange(n, device=maps.device) - cells[..., axis, None]).abs() <= window
        for axis, n in ((0, maps.shape[3]), (1, maps.shape[2]))
    )
    return y[..., :, None] & x[..., None, :]


def _fitted(maps: Tensor, cells: Tensor) -> Tensor:
    """The centre of a Gaussian through three values of the map's sums along each axis."""
    places = []
    for axis, sums in enumerate((maps.sum(dim=2), maps.sum(dim=3))):
        count, cell = sums.shape[2], cells[..., axis]
        step = 2 if count >= 5 else 1
        if count < 3:
            places.append(cell.to(maps.dtype))
            continue
        middle = cell.clamp(step, count - 1 - step)
        log = sums.clamp(min=torch.finfo(maps.dtype).tiny).log()
        before, here, after = (
            log.gather(2, (middle + i)[..., None])[..., 0] for i in (-step, 0, step)
        )
        bend = after - 2 * here + before
        slope = (after - before) / 2
        place = middle - step * slope / torch.where(bend < 0, bend, -math.inf)
        places.append(torch.where(bend < 0, place, cell.to(maps.dtype)))
    return torch.stack(places, dim=-1)
