"""The recurrence as a graph of fixed size, for sequences of any length.

Each level solves groups of four places by the state that enters each, which the level above finds
for all groups. In an exported graph, whose length is free, there are as many levels as any map
needs.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.selective_scan.plain import turned

GROUP = 4
LEVELS = 12
"""Enough for GROUP ** LEVELS places, 16 million."""


def traced_scan(
    x: Float[Tensor, "b s l e"],
    step: Float[Tensor, "b k l e"],
    rate: Float[Tensor, "k e n"],
    write: Float[Tensor, "b k l n"],
    read: Float[Tensor, "b k l n"],
    backwards: int,
) -> Float[Tensor, "b s l e"]:
    """All directions and all states at once."""
    each = x.to(step.dtype).repeat(1, step.shape[1] // x.shape[1], 1, 1)
    each, step, write, read = (turned(z, backwards) for z in (each, step, write, read))
    decay = (step[:, :, :, None] * rate.mT[:, None]).exp()  # (b, k, l, n, e)
    states = _solved(decay, (step * each)[:, :, :, None] * write[..., None], LEVELS)
    y = turned((states * read[..., None]).sum(dim=3), backwards)
    return torch.unflatten(y, 1, (-1, x.shape[1])).sum(dim=1)


def _solved(a: Tensor, w: Tensor, levels: int) -> Tensor:
    length = w.shape[2]
    free = torch.compiler.is_exporting() or torch._C._get_tracing_state() is not None
    if levels == 0 or (not free and length == 1):
        return w
    groups = (length + GROUP - 1) // GROUP + free  # so that a free number is never 1
    padding = (0, 0, 0, 0, 0, GROUP * groups - length)
    parts = [torch.unflatten(F.pad(z, padding), 2, (groups, GROUP)).unbind(3) for z in (a, w)]
    multipliers, additions = parts
    total, product = additions[0], multipliers[0]
    for own, added in zip(multipliers[1:], additions[1:], strict=True):
        total, product = own * total + added, product * own
    ends = _solved(product, total, levels - 1)
    state = F.pad(ends, (0, 0, 0, 0, 1, 0)).narrow(2, 0, groups)  # that enters each group
    found = []
    for own, added in zip(multipliers, additions, strict=True):
        state = own * state + added
        found.append(state)
    return torch.stack(found, dim=3).flatten(2, 3).narrow(2, 0, length)
