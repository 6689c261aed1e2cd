"""Which modules of a host are meant: by name, by type, by a stage's number, or after each stage.

The places are those of `layers.placement`; a module's name goes before everything else it may mean.
"""

import re

import torch
from torch import nn

from pixelwise.errors import InputError, unknown
from pixelwise.insertion.layouts import FeatureLayout, Grid, find_layout
from pixelwise.insertion.stages import stage, stages
from pixelwise.insertion.tracing import ModuleCall, Trace, own_modules
from pixelwise.layers.placement import EACH_STAGE, Where, kind_of


def matching(host: nn.Module, where: Where, trace: Trace, grid: Grid | None) -> list[str]:
    """The names of the modules that a place means, in the host's order.

    In a pattern `*` stands for any part of a name between two dots, `**` for any number of them.

    Raises:
        InputError: There is none.
    """
    names = [name for name, _ in own_modules(host)]
    kind, number = kind_of(where)
    if isinstance(where, type):
        found = [name for name in names if isinstance(host.get_submodule(name), where)]
        if not found:
            kinds = {type(host.get_submodule(name)).__name__ for name in names}
            raise InputError(
                f"insert={where.__name__}: {type(host).__name__} has no module of that type; take"
                f" one of {', '.join(sorted(kinds))}"
            )
        return found
    if kind == EACH_STAGE:
        return stages(host, trace, grid)
    found = [name for name in names if pattern(where).fullmatch(name)]
    if found:
        return found
    if kind == "stage" and number is not None:
        return [stage(host, number, trace, grid)]
    if kind in ("inner", "blocks"):
        raise InputError(
            f"insert={where!r}: the insides of blocks are places of create_model(attention=...)"
            " alone; name the modules instead, for example 'layer3.*.bn2'"
        )
    raise unknown("place", where, names, f"in {type(host).__name__}")


def pattern(text: str) -> re.Pattern[str]:
    """A pattern of names as a regular expression."""
    parts = re.split(r"(\*\*|\*|\?)", text)
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts))


def layout_at(
    host: nn.Module, name: str, trace: Trace, grid: Grid | None
) -> tuple[FeatureLayout, ModuleCall]:
    """The layout of what comes out of a module.

    Raises:
        InputError: Nothing comes out that a layer could take.
    """
    calls = trace.of(name)
    where = f"insert={name!r}"
    if isinstance(host.get_submodule(name), torch.jit.ScriptModule):
        raise InputError(f"{where}: it is scripted and takes no layers; take a module around it")
    if not calls:
        raise InputError(
            f"{where}: {type(host).__name__} does not call it in eval mode; take a module that is"
            " called"
        )
    last = calls[-1]
    if last.problem:
        raise InputError(f"{where}: {last.problem}; take a module inside or behind it")
    found = find_layout(last.shape, trace.image, trace.batch, grid)
    if isinstance(found, str):
        raise InputError(f"{where}: {found}; take another module")
    widths = {found.channels(call.shape) for call in calls if len(call.shape) == len(last.shape)}
    if len(widths) > 1 or any(len(call.shape) != len(last.shape) for call in calls):
        raise InputError(
            f"{where}: it is called {len(calls)} times, for maps of different widths; take modules"
            " that are called once"
        )
    return found, last
