"""Parameters for an optimiser, parted by their share of the learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

Group = dict[str, Any]


def parameter_groups(
    parts: Mapping[str, tuple[Sequence[nn.Parameter], float]], weight_decay: float
) -> list[Group]:
    """Groups with `params`, `weight_decay`, and their part's `name` and `share`.

    Weights decay; biases, norms and gains do not. A part with a share of 0 is frozen.

    Args:
        parts: Parameters, and their share of the learning rate, by name.
        weight_decay: Of weights, which have two axes or more.
    """
    groups: list[Group] = []
    for name, (members, share) in parts.items():
        for parameter in members if share == 0 else []:
            parameter.requires_grad_(False)
        for decayed in (True, False):
            chosen = [p for p in members if p.requires_grad and (p.ndim > 1) == decayed]
            decay = weight_decay if decayed else 0.0
            if chosen:
                groups.append(
                    {"params": chosen, "weight_decay": decay, "name": name, "share": share}
                )
    return groups
