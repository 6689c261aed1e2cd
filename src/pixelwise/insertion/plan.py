"""From what is asked for to places: which module, which layer, in which layout, with which gain.

What is asked for is in the grammar of `layers.placement`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import InsertionPlace, insertions_of
from pixelwise.insertion.examples import seeded
from pixelwise.insertion.layouts import Grid
from pixelwise.insertion.proof import is_identity
from pixelwise.insertion.targets import layout_at, matching
from pixelwise.insertion.tracing import Trace
from pixelwise.layers import plans
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.placement import Placement
from pixelwise.layers.registry import available, create, options


def read_plan(spec: str | Mapping[Any, Any]) -> tuple[Placement, ...]:
    """Layers by place, from any form of a plan.

    Raises:
        InputError: No plan, one without layers, or with a layer that does not exist.
    """
    found = plans.read_plan(spec, "insert")
    if not found:
        raise InputError(
            f"insert={spec!r}: nothing to insert; give places and layers, such as 'layer4=psa_s'"
        )
    return found


def planned(
    host: nn.Module,
    wanted: Sequence[Placement],
    seen: Trace,
    grid: Grid | None,
    *,
    per_channel: bool,
) -> list[InsertionPlace]:
    """Every module that is meant, with a layer that can stand there.

    Raises:
        InputError: A place or a layer that does not exist or does not go together.
    """
    taken = _taken(host)
    found = []
    for layer in wanted:
        gains: dict[tuple[int, tuple[int, int]], str] = {}  # of the same layer on like maps
        for name in matching(host, layer.where, seen, grid):
            if name in taken:
                raise InputError(
                    f"insert='{layer.key}@{name}': there is a layer already, {taken[name]}; name a"
                    " place once"
                )
            taken[name] = f"{layer.key!r} of {layer.where!r}"
            layout, call = layout_at(host, name, seen, grid)
            channels, size = layout.channels(call.shape), layout.size(call.shape, seen.image)
            alike = (channels, size)
            if alike not in gains:
                own = _is_identity(layer, channels, size, f"insert='{layer.key}@{name}'")
                gains[alike] = "own" if own else "channel" if per_channel else "scalar"
            entrance = seen.entrance if isinstance(layout.grid, int) else None
            found.append(
                InsertionPlace(
                    name, layer.key, _options(layer), channels, layout, gains[alike], entrance
                )
            )
    return found


def fitting(host: nn.Module, places: list[InsertionPlace], seen: Trace) -> list[InsertionPlace]:
    """Saved places, as they are in this host.

    Raises:
        InputError: The host has other features there.
    """
    taken = _taken(host)
    for place in places:
        where = f"insert='{place.key}@{place.name}'"
        if place.name in taken:
            raise InputError(f"{where}: there is a layer already, an insertion; remove it first")
        calls = seen.of(place.name)
        if not calls or len(calls[-1].shape) != (3 if place.layout.kind == "tokens" else 4):
            raise InputError(
                f"{where}: {type(host).__name__} has no such features; take a host like the saved"
                " one"
            )
        shape = calls[-1].shape
        if place.layout.channels(shape) != place.channels:
            raise InputError(
                f"{where}: it is for {place.channels} channels, but {type(host).__name__} has"
                f" {place.layout.channels(shape)} there; take a host like the saved one"
            )
        place.layout.size(shape, seen.image)
    return [replace(p, entrance=seen.entrance if p.entrance else None) for p in places]


def _taken(host: nn.Module) -> dict[str, str]:
    present = insertions_of(host)
    return {a.place.name: "an insertion" for a in present.attached()} if present else {}


def _options(layer: Placement) -> Mapping[str, Any]:
    """Without dropout unless asked for: it would draw from the host's random numbers."""
    if "dropout" in options(layer.key):
        return {"dropout": 0.0, **layer.options}
    return dict(layer.options)


def _is_identity(layer: Placement, channels: int, size: tuple[int, int], where: str) -> bool:
    """Whether a layer for such maps gives its input back at the start, by itself.

    Raises:
        InputError: It is no layer for such maps; the reason follows on `where`.
    """
    kind = available().get(layer.key)
    if kind is not None and issubclass(kind, FusionLayer):
        raise InputError(f"{where}: it takes a second input; take a layer of one, e.g. 'psa_s'")
    try:
        with seeded():
            made = create(layer.key, channels, **_options(layer))
            if not isinstance(made, Layer) or not made.keeps_shape:
                raise InputError("it changes the size or the width; take another, e.g. 'psa_s'")
            x = torch.randn(2, channels, *size)
            made.eval()(x)
            return is_identity(made, x)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
