"""Insertions out of the weights of a whole network: every `state_dict` says what stands where.

`restore(network, state)` puts the layers back at their places, `network.load_state_dict(state)`
then loads their weights with those of the network.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import (
    CHILD,
    PLACES,
    Attached,
    InsertionPlace,
    insertions_of,
    read_places,
)
from pixelwise.insertion.attaching import attach, detach

DEPTH = 4
"""So many mappings inside each other are looked into."""


@dataclass(frozen=True)
class Plan:
    """What was inserted into one network of a `state_dict`."""

    prefix: str
    """Of the network's keys, such as "module." or ""."""
    places: Mapping[str, InsertionPlace]
    """By their keys among the insertions."""
    state: Mapping[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """Of the insertions alone, by the names of `Inserted.state_dict`."""
        found = {}
        for key, place in self.places.items():
            start = f"{self.prefix}{CHILD}.{key}."
            for name, value in self.state.items():
                if name.startswith(start):
                    found[f"{place.name}/{name.removeprefix(start)}"] = value
        return found

    def dtype(self, host: nn.Module, place: InsertionPlace) -> torch.dtype | None:
        """The host's own type there, whatever type the weights were saved in; None if unknown."""
        near = host.get_submodule(place.name).parameters()
        known = chain(near, host.parameters(), self.weights().values())
        return next((t.dtype for t in known if t.is_floating_point()), None)

    def host(self, network: nn.Module) -> nn.Module:
        """The network that the places are in: `network`, or a part of it.

        Raises:
            InputError: It has no such modules.
        """
        parts = self.prefix.split(".")[:-1]
        for start in range(len(parts) + 1):  # wrappers may have put names before
            try:
                host = network.get_submodule(".".join(parts[start:]))
                for place in self.places.values():
                    host.get_submodule(place.name)
                return host
            except AttributeError:
                continue
        place = next(iter(self.places.values()))
        raise InputError(
            f"insert='{place.key}@{place.name}': {type(network).__name__} has no such module; take"
            " a network like the saved one"
        )


def plans(found: Mapping[Any, Any], where: str = "state_dict") -> list[Plan]:
    """What the weights of a network, or a checkpoint that holds them, say of insertions.

    Raises:
        InputError: They say nothing, or there are several networks' weights.
    """
    states = list(_states(found, where))
    if len(states) > 1:
        names = ", ".join(name for name, _ in states)
        raise InputError(f"{where}: holds several networks, {names}; give the weights of one")
    read = [
        Plan(key.removesuffix(PLACES), places, state)
        for _, state in states
        for key, value in state.items()
        if key.endswith(PLACES) and (places := read_places(value))
    ]
    if not read:
        raise InputError(
            f"{where}: holds no insertions; give weights that were saved after `insert`"
        )
    return read


def holds_insertions(found: Mapping[Any, Any]) -> bool:
    """Whether these are weights of a network with insertions."""
    return any(True for _ in _states(found, ""))


def restore(network: nn.Module, weights: Mapping[Any, Any]) -> list[Attached]:
    """Put the layers that weights tell of back at their places, for `load_state_dict` to fill.

    Nothing is run. What stands at its place already stays; weights that tell of no insertion
    change nothing.

    Args:
        network: Like the saved one, or one that holds such a network.
        weights: A `state_dict` of a network with insertions.

    Raises:
        InputError: The network lacks a place; it is then as it was.
    """
    if not holds_insertions(weights):
        return []
    added: list[tuple[nn.Module, Attached]] = []
    try:
        for plan in plans(weights):
            host = plan.host(network)
            present = insertions_of(host)
            names = {a.place.name for a in present.attached()} if present else set()
            for place in plan.places.values():
                if place.name not in names:
                    added.append((host, attach(host, place, plan.dtype(host, place))))
    except BaseException:
        for host, attached in added:
            detach(host, {attached.place.name})
        raise
    return [attached for _, attached in added]


def _states(found: Mapping[Any, Any], where: str, depth: int = DEPTH) -> Iterator[tuple[str, Any]]:
    if any(isinstance(key, str) and key.endswith(PLACES) for key in found):
        yield where, found
        return
    for key, value in found.items() if depth else ():
        if isinstance(value, Mapping):
            yield from _states(value, f"{where}[{key!r}]", depth - 1)
