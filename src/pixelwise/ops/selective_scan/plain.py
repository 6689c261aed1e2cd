"""Scan sequences by a linear recurrence whose numbers depend on the input.

h_t = exp(d_t A) h_(t-1) + d_t B_t x_t     n states for each of e channels, from h_0 = 0
y_t = C_t . h_t                            what is read of them

Several directions go through few sequences: of k directions and s sequences direction i reads the
sequence i mod s, and what directions of one sequence find is added. The last ones of the
directions, `backwards` in number, go from the end to the start.
"""

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.backward import Plain


def reference(
    x: Float[Tensor, "b s l e"],
    step: Float[Tensor, "b k l e"],
    rate: Float[Tensor, "k e n"],
    write: Float[Tensor, "b k l n"],
    read: Float[Tensor, "b k l n"],
    backwards: int,
) -> Float[Tensor, "b s l e"]:
    """The recurrence, one place after the other."""
    each = x.to(step.dtype).repeat(1, step.shape[1] // x.shape[1], 1, 1)
    each, step, write, read = (turned(z, backwards) for z in (each, step, write, read))
    state, found = torch.zeros_like(step[:, :, 0, :, None] * rate), []
    for t in range(step.shape[2]):
        d, b, c = step[:, :, t, :, None], write[:, :, t, None], read[:, :, t, None]
        state = (d * rate).exp() * state + d * b * each[:, :, t, :, None]
        found.append((state * c).sum(dim=-1))
    y = turned(torch.stack(found, dim=2), backwards)
    return torch.unflatten(y, 1, (-1, x.shape[1])).sum(dim=1)


def turned(z: Float[Tensor, "b k l _"], backwards: int) -> Float[Tensor, "b k l _"]:
    """The last `backwards` of the directions from the end to the start."""
    ahead = z.shape[1] - backwards
    return torch.cat([z[:, :ahead], z[:, ahead:].flip(2)], dim=1)


def again(ctx: Any) -> tuple[Plain, tuple[Tensor | None, ...]]:
    """What second derivatives are taken through."""
    return functools.partial(reference, backwards=ctx.backwards), ctx.saved_tensors[:5]
