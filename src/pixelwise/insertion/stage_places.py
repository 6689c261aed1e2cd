"""The places that `suggest` asks about: the ends of stages, or quarters of the depth."""

import re
from typing import Any

from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.examples import Example, quiet, run
from pixelwise.insertion.layouts import Grid, find_layout
from pixelwise.insertion.proof import tensors
from pixelwise.insertion.stages import LAST_STAGE, stage, stages
from pixelwise.insertion.tracing import ModuleCall, Trace

QUARTERS = 4


def ends_of_stages(host: nn.Module, example: Example, seen: Trace, grid: Grid | None) -> list[str]:
    """Module names, from fine to coarse.

    A network of one resolution, such as a plain transformer, is asked about at the quarters of its
    depth. What the host gives as its output is no place of features: what comes before it is.

    Raises:
        InputError: Nothing comes out of any module that a layer could take.
    """
    maps = [call for call in seen.calls if call.name and _is_map(call, seen, grid)]
    try:
        found = stages(host, seen, grid)
    except InputError:
        if not maps:
            raise
        found = [maps[-1].name]
    final = _final(host, example)
    found = [_before(name, maps, seen) if name in final else name for name in found]
    found = list(dict.fromkeys(found))
    return found if len(found) > 1 else _quarters(found[0], maps)


def stage_numbers(host: nn.Module, seen: Trace, grid: Grid | None) -> dict[str, int]:
    """Name -> number of the stage that it ends, where the host's stages can be counted."""
    found = {}
    for number in range(1, LAST_STAGE + 1):
        try:
            found[stage(host, number, seen, grid)] = number
        except InputError:
            continue
    return found


def _is_map(call: ModuleCall, seen: Trace, grid: Grid | None) -> bool:
    found = find_layout(call.shape, seen.image, seen.batch, grid) if call.shape else ""
    if isinstance(found, str):
        return False
    return min(found.size(call.shape, seen.image)) > 1


def _final(host: nn.Module, example: Example) -> set[str]:
    """Modules whose output is part of what the host gives, as it is."""
    import torch

    outputs: dict[str, Any] = {}
    handles = [
        module.register_forward_hook(lambda m, x, y, name=name: outputs.update({name: y}))
        for name, module in host.named_modules()
        if name
    ]
    try:
        with torch.no_grad(), quiet():
            given = {id(tensor) for tensor in tensors(run(host, example))}
    finally:
        for handle in handles:
            handle.remove()
    return {name for name, value in outputs.items() if id(value) in given}


def _before(name: str, maps: list[ModuleCall], seen: Trace) -> str:
    """The last module with a map of the same size that is done before another begins."""
    call = seen.of(name)[-1]
    earlier = [
        one.name
        for one in maps
        if one.end < call.start and one.shape[-2:] == call.shape[-2:] and one.name != name
    ]
    return earlier[-1] if earlier else name


def _quarters(last: str, maps: list[ModuleCall]) -> list[str]:
    """Up to that module: of modules that are numbered alike, or stand beside each other."""
    shape = next(call.shape for call in maps if call.name == last)
    form = re.sub(r"\d+$", r"*", last)
    alike = [c.name for c in maps if re.sub(r"\d+$", "*", c.name) == form and c.shape == shape]
    if len(alike) < 2:
        parent = last.rpartition(".")[0]
        alike = [c.name for c in maps if c.name.rpartition(".")[0] == parent]
    alike = list(dict.fromkeys(alike))
    alike = alike[: alike.index(last) + 1] if last in alike else [last]
    count = min(QUARTERS, len(alike))
    return [alike[len(alike) * (part + 1) // count - 1] for part in range(count)]
