"""The largest cell of each heat map, and the published ways from there to a place between cells.

With h the map, p = (x, y) its largest cell, b = K * h a blurred map and L = log b:

    quarter     p + sign(h[p + 1] - h[p - 1]) / 4 per axis
    dark        p - D^-1 g,  g = (L[p + 1] - L[p - 1]) / 2,
                D_xx = (L[p + 2] - 2 L[p] + L[p - 2]) / 4,  D_xy likewise from the corners
    udp         p - (D + eps I)^-1 g, with differences of one cell in D
    udp_offset  p + factor * height * (a_x, a_y)[p], p of the blurred disc

Source: Newell et al. 2016, https://arxiv.org/abs/1603.06937 (quarter); Zhang et al. 2020,
https://arxiv.org/abs/1910.06278 (dark); Huang et al. 2020, https://arxiv.org/abs/1911.07524 (udp).
Reference: github.com/microsoft/human-pose-estimation.pytorch, lib/core/inference.py (MIT);
github.com/ilovepose/DarkPose, likewise (Apache-2.0); github.com/HuangJunJie2017/UDP-Pose,
mmpose/core/evaluation/top_down_eval.py (Apache-2.0). Differences: maps are not changed in place,
and "udp_offset" takes batches (the released code works with batch 1 alone).

"quarter" and "dark" leave places near the border as they are. "udp" and "udp_offset" index all maps
of a batch as one row, like the authors' code: for the place (-1, -1), which that code gives to a
map without a peak, they read the end of the map before. `decode` never uses such a place.
"""

from typing import cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pixelwise.tasks.keypoints.blurring import blurred

EPSILON = torch.finfo(torch.float32).eps

Cells = Int64[Tensor, "b k 2"]
Places = Float[Tensor, "b k 2"]


def peaks(
    maps: Float[Tensor, "b k h w"], missing: int | None = None
) -> tuple[Cells, Float[Tensor, "b k"]]:
    """(x, y) of the largest cell, the first of equals, and its value.

    `missing` is x and y where no cell is above 0; None: the largest cell nevertheless.
    """
    # Rows first: an ONNX file has no remainder by a width that is left open.
    scores, rows = maps.amax(dim=3).max(dim=2)
    row = rows[..., None, None].expand(-1, -1, 1, maps.shape[3])
    cells = torch.stack([maps.gather(2, row)[:, :, 0].argmax(dim=2), rows], dim=-1)
    if missing is not None:
        cells = torch.where(scores[..., None] > 0, cells, missing)
    return cells, scores


def within(maps: Float[Tensor, "b k h w"], cells: Cells, border: int) -> Bool[Tensor, "b k"]:
    """1 < p < size - border on both axes: where the authors take a step."""
    h, w = maps.shape[2:]
    x, y = cells.unbind(dim=-1)
    return (x > 1) & (x < w - border) & (y > 1) & (y < h - border)


def quarter(maps: Float[Tensor, "b k h w"], cells: Cells) -> Places:
    """A quarter of a cell towards the larger neighbour, on each axis; within the border only."""
    right, left, below, above = _read(maps, cells, (1, 0), (-1, 0), (0, 1), (0, -1))
    step = torch.stack([right - left, below - above], dim=-1).sign() / 4
    return torch.where(within(maps, cells, 1)[..., None], cells + step, cells.to(maps.dtype))


def rescaled_blur(maps: Float[Tensor, "b k h w"], kernel: int) -> Float[Tensor, "b k h w"]:
    """Blurred, with zeros around, and as high as before."""
    soft = blurred(maps, kernel, mirrored=False)
    return soft * (maps.amax(dim=(2, 3), keepdim=True) / soft.amax(dim=(2, 3), keepdim=True))


def dark(maps: Float[Tensor, "b k h w"], cells: Cells, kernel: int = 11) -> Places:
    """One Newton step on the logarithm of the blurred map; two cells off the border only."""
    log = rescaled_blur(maps, kernel).clamp(min=1e-10).log()
    here, right, left, below, above = _read(log, cells, (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    far = _read(log, cells, (2, 0), (-2, 0), (0, 2), (0, -2))
    corners = _read(log, cells, (1, 1), (-1, 1), (1, -1), (-1, -1))
    xx, yy = ((a - 2 * here + b) / 4 for a, b in (far[:2], far[2:]))
    xy = (corners[0] - corners[1] - corners[2] + corners[3]) / 4
    steps = _newton((right - left) / 2, (below - above) / 2, xx, yy, xy)
    return torch.where(within(maps, cells, 2)[..., None], cells + steps, cells.to(maps.dtype))


def udp(maps: Float[Tensor, "b k h w"], cells: Cells, kernel: int = 11) -> Places:
    """One Newton step on the logarithm of the blurred map, whose border is repeated once."""
    log = blurred(maps, kernel, mirrored=True).clamp(0.001, 50.0).log()
    h, w = maps.shape[2:]
    rows, columns = (torch.arange(-1, n + 1, device=maps.device).clamp(0, n - 1) for n in (h, w))
    row = log[:, :, rows][..., columns].flatten()
    start = _starts(maps, (h + 2) * (w + 2))
    start = start + (cells[..., 1] + 1) * (w + 2) + cells[..., 0] + 1

    def read(x: int, y: int) -> Tensor:
        return row[(start + y * (w + 2) + x).flatten()].view(start.shape)

    here, right, left, below, above = (
        read(x, y) for x, y in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    )
    xx, yy = right - 2 * here + left, below - 2 * here + above
    xy = (read(1, 1) - right - below + 2 * here - left - above + read(-1, -1)) / 2
    return cells + _newton((right - left) / 2, (below - above) / 2, xx + EPSILON, yy + EPSILON, xy)


def udp_offset(
    maps: Float[Tensor, "b c h w"], kernel: int, factor: float, missing: int | None = None
) -> tuple[Places, Float[Tensor, "b k"]]:
    """The peak of the blurred disc, and the way that is written there; scores of blurred discs."""
    disc, x, y = (maps[:, i::3] for i in range(3))
    cells, scores = peaks(blurred(disc, 2 * kernel + 1, mirrored=True), missing)
    h, w = maps.shape[2:]
    place = (_starts(disc, h * w) + cells[..., 1] * w + cells[..., 0]).flatten()
    ways = [blurred(way, kernel, mirrored=True).flatten()[place] for way in (x, y)]
    steps = torch.stack(ways, dim=-1).view(*cells.shape) * (factor * h)
    return cells + steps, scores


def _starts(maps: Tensor, length: int | torch.SymInt) -> Tensor:
    """Where each map begins in a row of maps of this length."""
    b, k = maps.shape[:2]
    return torch.arange(b * k, device=maps.device).view(b, k) * cast(int, length)


def _read(maps: Tensor, cells: Tensor, *steps: tuple[int, int]) -> list[Tensor]:
    """The values at `cells` and steps (x, y) from them; the border goes on."""
    h, w = maps.shape[2:]
    flat = maps.flatten(2)
    x, y = cells.unbind(dim=-1)
    places = ((y + dy).clamp(0, h - 1) * w + (x + dx).clamp(0, w - 1) for dx, dy in steps)
    return [flat.gather(2, place[..., None])[..., 0] for place in places]


def _newton(gx: Tensor, gy: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """-D^-1 g, and no step where D has no inverse."""
    determinant = xx * yy - xy * xy
    safe = torch.where(determinant == 0, 1, determinant)
    steps = torch.stack([xy * gy - yy * gx, xy * gx - xx * gy], dim=-1) / safe[..., None]
    return torch.where(determinant[..., None] == 0, 0, steps)
