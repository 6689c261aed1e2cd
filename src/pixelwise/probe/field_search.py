"""What gradients do not show of a theoretical receptive field.

Which pixels change an output though its gradient is zero there, and whether it matters where what
comes from afar comes from.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pixelwise.receptive import Pixel, chebyshev

Order = Literal["local", "unordered", "lines", "ordered"]
INVARIANT = 1e-6
"""An exchange that changes the output this much less than other values do leaves it alone."""
LARGE = 10.0
"""Where gradients are zero, values are moved by this much, up and down."""
SINGLY = 64
"""So few pixels are looked at one by one, not by halves."""
Trial = tuple[Callable[[Tensor], Tensor], Float[Tensor, "1 c h w"]]
"""A module with parameters of its own, and an input."""
ROUNDING = 1e-13
"""Gradients and changes this much smaller than the largest are errors of float64."""


@torch.no_grad()
def _changes(
    run: Callable[[Tensor], Tensor],
    x: Float[Tensor, "1 c h w"],
    pixel: Pixel,
    others: Float[Tensor, "n c h w"],
) -> Float[np.ndarray, "n"]:
    """How much the output at a pixel changes where the input is one of `others`."""
    row, column = pixel
    before = run(x)[:, :, row, column]
    after = torch.cat([run(other[None])[:, :, row, column] for other in others])
    return np.asarray((after - before).abs().amax(1))


def hidden(
    run: Callable[[Tensor], Tensor],
    x: Float[Tensor, "1 c h w"],
    pixel: Pixel,
    candidates: Bool[np.ndarray, "h w"],
) -> Bool[np.ndarray, "h w"]:
    """Candidates that change the output, though gradients are zero: hard choices, no gradients.

    All together first, then halves of those that do.
    """
    generator = torch.Generator().manual_seed(7)
    far = LARGE * torch.randn(x.shape, generator=generator, dtype=x.dtype).sign()
    with torch.no_grad():
        scale = float(run(x)[:, :, pixel[0], pixel[1]].abs().max())
    members = np.zeros_like(candidates)
    todo = [np.flatnonzero(candidates)]
    while todo:
        part = todo.pop()
        where = np.zeros_like(candidates)
        where.flat[part] = True
        mask = torch.from_numpy(where)
        changed = torch.cat([torch.where(mask, x + far, x), torch.where(mask, x - far, x)])
        if not len(part) or _changes(run, x, pixel, changed).max() <= ROUNDING * scale:
            continue
        if len(part) == 1:
            members |= where
        else:
            todo += np.array_split(part, 2 if len(part) > SINGLY else len(part))
    return members


def order(
    trials: list[Trial], pixel: Pixel, at: Pixel, members: Bool[np.ndarray, "h w"]
) -> tuple[Order, int]:
    """How what comes from afar depends on its place, and from where on that is afar."""
    distances = chebyshev(at, members.shape)
    reach = int(distances[members].max(initial=0))
    if not reach:
        return "local", 0
    for near in range(reach // 2 + 1):
        if _exchangeable(trials, pixel, [members & (distances > near)]):
            return "unordered", near
    rows, columns = np.indices(members.shape)
    for near in range(reach // 2 + 1):
        far = members & (distances > near)
        lines = [far & (rows == at[0] + offset) for offset in range(-near, near + 1)]
        lines += [far & (columns == at[1] + offset) for offset in range(-near, near + 1)]
        if np.array_equal(np.logical_or.reduce(lines), far) and _exchangeable(trials, pixel, lines):
            return "lines", near
    return "ordered", 0


def _exchangeable(trials: list[Trial], pixel: Pixel, groups: list[Bool[np.ndarray, "h w"]]) -> bool:
    """Whether other values in the groups change the output, and exchanges inside them do not."""
    if max(group.sum() for group in groups) < 2:
        return False
    far = torch.from_numpy(np.logical_or.reduce(groups))
    generator = np.random.default_rng(0)
    changed = False
    for run, x in trials:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(7), dtype=x.dtype)
        usual = _changes(run, x, pixel, torch.where(far, noise, x)).max()
        mixed = torch.cat([_exchanged(x, groups, generator) for _ in range(2)])
        if _changes(run, x, pixel, mixed).max() > INVARIANT * usual:
            return False
        changed |= bool(usual > 0)
    return changed


def _exchanged(
    x: Float[Tensor, "1 c h w"],
    groups: list[Bool[np.ndarray, "h w"]],
    generator: np.random.Generator,
) -> Float[Tensor, "1 c h w"]:
    """The map with every pixel of a group at the place of another one."""
    mixed = x.flatten(2).clone()
    for group in groups:
        places = generator.permutation(np.flatnonzero(group))
        mixed[:, :, places] = x.flatten(2)[:, :, np.roll(places, 1)]
    return mixed.view(x.shape)
