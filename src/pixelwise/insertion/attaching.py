"""Putting layers behind modules of a host, and taking them out again."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from pixelwise.insertion.attached import (
    CHILD,
    Attached,
    Facts,
    InsertionPlace,
    Insertions,
    insertions_of,
)
from pixelwise.insertion.hooks import Behind, Guard, Notes, drop, put
from pixelwise.insertion.settling import Counting, Settling, patched
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import create


def attach(host: nn.Module, place: InsertionPlace, dtype: torch.dtype | None = None) -> Attached:
    """Put a layer behind a module of the host, on its device; of its type if `dtype` is None."""
    module = host.get_submodule(place.name)
    like = next((p for p in [*module.parameters(), *host.parameters()]), torch.empty(0))
    layer = create(
        place.key, place.channels, device=like.device, dtype=dtype or like.dtype, **place.options
    )
    assert isinstance(layer, Layer)
    around = [place.name, *place.before, *([place.after] if place.after else [])]
    facts = {name: Facts.of(host.get_submodule(name)) for name in around}
    attached = Attached(place, layer.train(host.training), facts)
    attached.patched = patched(host, place)
    _compile_again()
    insertions = insertions_of(host)
    if insertions is None:
        insertions = Insertions()
        host.add_module(CHILD, insertions)
        host.register_forward_pre_hook(Settling(insertions))
        host.register_forward_hook(Counting(insertions), with_kwargs=True, prepend=True)
    key = _key(host, place.name)
    while key in insertions:  # a module may have such a name itself
        key += "_"
    insertions[key] = attached
    put(module, Behind(attached, insertions))
    folds = next((n for n in place.before if facts[n].mixes and not facts[n].shifts), None)
    if folds is not None:
        host.get_submodule(folds).register_forward_hook(Guard(attached, folds))
    for part, name in _parts(host, place.name):
        if not any(isinstance(hook, Settling) for hook in part._forward_pre_hooks.values()):
            part.register_forward_pre_hook(Settling(insertions, name))
    if place.entrance is not None:
        gate = host.get_submodule(place.entrance)
        if not any(isinstance(hook, Notes) for hook in gate._forward_pre_hooks.values()):
            gate.register_forward_pre_hook(Notes(insertions))
    return attached


def _key(host: nn.Module, name: str) -> str:
    """The name of an insertion: that of its place.

    A number for a network of transformers, whose `save_pretrained` replaces parts of names such as
    `layers`, those of insertions too.
    """
    if any(kind.__module__.startswith("transformers.") for kind in type(host).__mro__):
        return str(zlib.crc32(name.encode()))
    return name.replace(".", "__")


def _parts(host: nn.Module, name: str) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
    """The parts of a host around one of its modules, without the host and that module."""
    steps = name.split(".")[:-1]
    for end in range(1, len(steps) + 1):
        yield host.get_submodule(".".join(steps[:end])), tuple(steps[:end])


def _compile_again() -> None:
    """Forget what torch.compile made: it does not look whether a module's hooks have changed."""
    if "torch._dynamo" in sys.modules and not torch.compiler.is_compiling():
        torch.compiler.reset()


def detach(host: nn.Module, names: set[str] | None = None) -> None:
    """Take insertions out again: those at the places `names`, or all."""
    insertions = insertions_of(host)
    if insertions is None:
        return
    gone = {a for a in insertions.attached() if names is None or a.place.name in names}
    for key in [key for key, attached in insertions.items() if attached in gone]:
        del insertions[key]
    left = [attached.place.name.split(".") for attached in insertions.attached()]

    def idle(hook: Any) -> bool:
        if isinstance(hook, Behind | Guard):
            return hook.attached in gone
        if isinstance(hook, Settling):
            return not any(steps[: len(hook.part)] == [*hook.part] for steps in left)
        return isinstance(hook, Counting | Notes) and not left

    wanted: Callable[[Any], bool] = idle
    for module in host.modules():
        drop(module, wanted)
    _compile_again()
    if not insertions:
        del host._modules[CHILD]
