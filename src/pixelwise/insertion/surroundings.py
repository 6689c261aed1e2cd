"""What lies around a place: the modules that give the same features, make them, or take them.

Seen in a run, not read from names: two outputs are the same features where they are one tensor that
nothing has written into.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pixelwise.insertion.attached import Facts, InsertionPlace
from pixelwise.insertion.examples import Example, mode, quiet, run
from pixelwise.insertion.tracing import watchable
from pixelwise.ops.running import choice

MOST_STEPS = 4
"""So far back the modules before a place are followed: activation, norm, convolution."""


@dataclass(eq=False)
class _Value:
    """A tensor between two modules."""

    tensor: "weakref.ref[Tensor]"
    version: int
    makers: list["_Call"] = field(default_factory=list)
    """Those that it is the output of, from the inside out."""
    users: list[tuple["_Call", ...]] = field(default_factory=list)
    """The calls that ran, from the outside in, wherever it was used."""
    shape: tuple[int, ...] = ()


@dataclass(eq=False)
class _Call:
    """One call of a module."""

    name: str
    around: tuple["_Call", ...]
    given: list[_Value | None]
    """Of every tensor that it is given; None for one that no module made."""
    gives: _Value | None = None


class _Run(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the tensors of a run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[_Call] = []
        self.running: list[_Call] = []
        self.values: dict[int, _Value] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.used((args, kwargs))
        return func(*args, **(kwargs or {}))

    def used(self, given: Any) -> None:
        """Note that tensors are used, by the call that is running."""
        for value in filter(None, map(self.value, tree_leaves(given))):
            value.users.append(tuple(self.running))

    def value(self, tensor: Any) -> _Value | None:
        """What a tensor is, if it came out of a module and is as it was then."""
        if not isinstance(tensor, Tensor):
            return None
        found = self.values.get(id(tensor))
        same = found is not None and found.tensor() is tensor
        return found if found is not None and same and found.version == _version(tensor) else None

    def begin(self, name: str, given: Any) -> None:
        """A module is called."""
        values = [self.value(t) for t in tree_leaves(given) if isinstance(t, Tensor)]
        self.running.append(_Call(name, tuple(self.running), values))

    def end(self, output: Any) -> None:
        """It gave an output."""
        call = self.running.pop()
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            call.gives = self.value(first)
            if call.gives is None:
                call.gives = _Value(weakref.ref(first), _version(first), shape=tuple(first.shape))
                self.values[id(first)] = call.gives
            call.gives.makers.append(call)
        self.calls.append(call)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def followed(
    host: nn.Module, example: Example, places: Iterable[InsertionPlace]
) -> list[InsertionPlace]:
    """The places with what lies around them, seen in a run in eval mode."""
    seen = _Run()
    handles = []
    for name, module in watchable(host):
        handles += [
            module.register_forward_pre_hook(
                lambda m, args, kwargs, name=name: seen.begin(name, (args, kwargs)),
                with_kwargs=True,
                prepend=True,
            ),
            module.register_forward_hook(lambda m, x, output: seen.end(output)),
        ]
    try:
        with (
            mode(host, training=False),
            torch.no_grad(),
            quiet(),
            choice.forced(layer="lean"),
            seen,
        ):
            output = run(host, example)
        seen.used(output)  # by nobody inside: what the host gives to others
    finally:
        for handle in handles:
            handle.remove()
    return [_around(host, place, seen) for place in places]


def _around(host: nn.Module, place: InsertionPlace, seen: _Run) -> InsertionPlace:
    def alike(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        """What every call of the place has alike."""
        first, *others = found
        return tuple(name for name in first if all(name in other for other in others))

    calls = [call for call in seen.calls if call.name == place.name]
    count = {call.name: 0 for call in seen.calls}
    for call in seen.calls:
        count[call.name] += 1

    def often(name: str) -> bool:
        return count[name] == len(calls)

    same = alike(_names(_outer(call)) for call in calls)
    before = alike(_before(host, call) for call in calls)
    after = alike(_after(call) for call in calls)
    return replace(
        place,
        same=tuple(filter(often, same)),
        before=tuple(filter(often, before)),
        after=after[0] if after else None,
    )


def _names(calls: Iterable[_Call]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(call.name for call in calls))


def _outer(call: _Call) -> list[_Call]:
    """Later calls that gave the same features."""
    makers = call.gives.makers if call.gives else []
    return makers[makers.index(call) + 1 :] if call in makers else []


def _before(host: nn.Module, call: _Call) -> tuple[str, ...]:
    """The modules that made what a call was given, back to one that is no part of the others."""
    found: list[_Call] = []
    for _ in range(MOST_STEPS):
        module = host.get_submodule(call.name)
        x = call.given[0] if len(call.given) == 1 else None
        if x is None or call.gives is None or x.shape != call.gives.shape:
            break
        through = x is call.gives  # an identity
        if Facts.of(module).mixes or (not through and any(call not in user for user in x.users)):
            break
        makers = x.makers[: x.makers.index(call)] if through else x.makers
        if not makers:
            break
        found += makers
        call = makers[0]
    return _names(found)


def _after(call: _Call) -> tuple[str, ...]:
    """The module that alone takes what a call gave."""
    users = call.gives.users if call.gives else []
    innermost = {user[-1] if user else None for user in users}
    last = innermost.pop() if len(innermost) == 1 else None
    return () if last is None or last in call.around else (last.name,)
