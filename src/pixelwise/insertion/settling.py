"""What a host does to itself after an insertion: noticed at its next forward, mended or refused.

A layer stands behind a module as a hook, and hosts take modules away: a norm is fused into its
convolution, a block is replaced by a faster one. Before every forward each layer is looked for:
where its module is gone it goes behind the one whose output is the same features now, if there is
such a one. After the forward of the whole host each layer must have taken part.
"""

import ctypes
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import (
    Attached,
    Facts,
    InsertionPlace,
    Insertions,
    insertions_of,
)
from pixelwise.insertion.examples import modes_kept, quiet, seeded
from pixelwise.insertion.hooks import Behind, Guard, carried, drop, put

Found = tuple[str, nn.Module]
"""A module and its name in the host."""


class LayerSkipped(UserWarning):
    """A forward of a host did not pass through a layer that was inserted into it."""


class Settling:
    """A forward pre-hook of a host, or of a part of it: each layer inside is behind its module."""

    def __new__(cls, *given: Any) -> "Settling":
        """Of copies and pickles too; torch's compiler takes a second to load, so not before."""
        torch.compiler.assume_constant_result(_settled_in_a_trace)  # type: ignore[no-untyped-call]
        return super().__new__(cls)

    def __init__(self, insertions: Insertions, part: tuple[str, ...] = ()) -> None:
        self.insertions, self.part = insertions, part

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Look for each layer."""
        if torch.compiler.is_dynamo_compiling():
            if not self.part:
                _settled_in_a_trace(id(module))
            return
        if getattr(module, "_is_replica", False):
            raise InputError(
                f"host={type(module).__name__}: nn.DataParallel leaves inserted layers on one"
                " device; take nn.parallel.DistributedDataParallel"
            )
        for attached in self.insertions.attached() if self.insertions.checked else ():
            if attached.place.name.split(".")[: len(self.part)] == [*self.part]:
                settle_one(module, attached, self.insertions, self.part)
        if not self.part:
            self.insertions.marks = tuple(a.calls for a in self.insertions.attached())


class Counting:
    """A forward hook of a host: each layer has taken part, or a warning says which did not."""

    def __init__(self, insertions: Insertions) -> None:
        self.insertions = insertions

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        """The host's output, computed again where a layer had to be moved for it."""
        if torch.compiler.is_dynamo_compiling():
            return None
        pairs = list(zip(self.insertions.attached(), self.insertions.marks, strict=False))
        if all(a.calls != before for a, before in pairs):
            return None
        skipped = [a for a, before in pairs if a.calls == before and not a.warned]
        passed = _passed_by(module, skipped, args, kwargs)
        for attached in passed:
            _move_back(module, attached, self.insertions)
        again = module.forward(*args, **kwargs) if passed else None
        for attached in skipped:
            if attached not in passed:
                vars(attached)["warned"] = True
                warnings.warn(
                    f"insert={attached.place.name!r}: a forward of {type(module).__name__} did not"
                    " pass through this layer; report.verify() says which take part",
                    LayerSkipped,
                    stacklevel=3,
                )
        return again


def _settled_in_a_trace(number: int) -> bool:
    """Put the layers of a host behind their modules while torch.compile reads it, which runs this.

    It hands numbers over, no modules; the one of that `id` is alive, since it is being called.
    """
    host = ctypes.cast(number, ctypes.py_object).value
    found = insertions_of(host)
    if found is None:
        return True
    for attached in found.attached():
        settle_one(host, attached, found, ())
        if (
            attached.stands == attached.place.name
            and patched(host, attached.place) - attached.patched
        ):
            raise InputError(
                f"insert={attached.place.name!r}: a part of the host has another forward now, which"
                " may pass this layer by; run the host once before it is compiled"
            )
    return True


def patched(host: nn.Module, place: InsertionPlace) -> frozenset[str]:
    """The parts of a host around a place that have a forward of their own, put in by somebody."""
    steps = place.name.split(".")
    names = [".".join(steps[:end]) for end in range(1, len(steps))]
    parts = {name: part for name, part in host.named_modules() if name in names}
    return frozenset(name for name, part in parts.items() if "forward" in vars(part))


def settle_one(
    root: nn.Module, attached: Attached, insertions: Insertions, part: tuple[str, ...]
) -> None:
    """Put one layer behind its module, where the host changed.

    Args:
        root: The host, or the part of it that is called.
        attached: The layer.
        insertions: All of the host's.
        part: The part's name.

    Raises:
        InputError: The layer has lost its place.
    """
    look = _Look(root, attached, part)
    for before in attached.place.before:
        for guard in guards(look.up(before)):
            guard.known = id(guard)
    found = look.up(attached.stands)
    if found is not None and any(hook.attached is attached for hook in carried(found[1])):
        if look.next_folded(found[1], replaced=False):
            raise _folded(attached)
        return
    moved = [n for n, m in root.named_modules() if any(h.attached is attached for h in carried(m))]
    name = look.full(moved[0]) if moved else look.new_place(found)
    if name is None:  # a part of the host: what is called may lie elsewhere
        return
    if not moved:
        target = look.up(name)
        assert target is not None
        drop(target[1], lambda hook: _is_copy(hook, attached))
        put(target[1], Behind(attached, insertions))
        name = target[0]
    vars(attached)["stands"] = name


def guards(found: Found | None) -> Iterator[Guard]:
    """The guards of a module, those that came with a copy of it too."""
    for hook in found[1]._forward_hooks.values() if found else ():
        if isinstance(hook, Guard):
            yield hook


def _is_copy(hook: Any, attached: Attached) -> bool:
    """Whether it came with a module that was copied by itself, such as a fused convolution."""
    return isinstance(hook, Behind) and hook.attached.place.name == attached.place.name


class _Look:
    """A look for a layer's modules in a host, or in a part of one."""

    def __init__(self, root: nn.Module, attached: Attached, part: tuple[str, ...]) -> None:
        self.root, self.attached, self.part = root, attached, part

    def full(self, name: str) -> str:
        """The name in the host of a module of the part."""
        return ".".join([*self.part, name])

    def inside(self, name: str) -> bool:
        """Whether it is a module of the part."""
        return name.split(".")[: len(self.part)] == [*self.part]

    def up(self, name: str) -> Found | None:
        """The module of that name in the host, also inside of wrappers."""
        if not self.inside(name):
            return None
        module, path = self.root, list(self.part)
        for step in name.split(".")[len(self.part) :]:
            while step not in module._modules and len(module._modules) == 1:
                ((wrapped, inner),) = module._modules.items()
                if inner is None:
                    return None
                module = inner
                path.append(wrapped)
            child = module._modules.get(step)
            if child is None:
                return None
            module = child
            path.append(step)
        return ".".join(path), module

    def emptied(self, name: str, module: nn.Module | None) -> bool:
        """Whether nothing is left of a module."""
        was = self.attached.facts.get(name)
        if module is None or was is None:
            return module is None
        now = Facts.of(module)
        return (was.weights and not now.weights) or (now.neutral and not was.neutral)

    def next_folded(self, module: nn.Module, *, replaced: bool) -> bool:
        """Whether the module behind the layer is part of the one before it now."""
        after = self.attached.place.after
        if after is None or not self.inside(after):
            return False
        was = self.attached.facts.get(after)
        if was is None or was.mixes or was.neutral:
            return False
        if not (replaced or (was.shifts and getattr(module, "bias", None) is not None)):
            return False  # asked before every forward: what is cheap to know first
        found = self.up(after)
        return self.emptied(after, found and found[1]) and (replaced or Facts.of(module).mixes)

    def new_place(self, found: Found | None) -> str | None:
        """The module behind which the features are that came out of the place.

        Raises:
            InputError: There is none.
        """
        place = self.attached.place
        if found is None:
            found = self.up(place.name)
        if found is not None and not self.emptied(place.name, found[1]):
            if self.next_folded(found[1], replaced=True):
                raise _folded(self.attached)
            return place.name
        if self.part and not all(map(self.inside, (*place.same, *place.before))):
            return None
        if found is None:
            for name in place.same:
                if self.up(name) is not None and not self.after_gone():
                    return name
        behind = self.absorber()
        return behind if found is None else place.name

    def after_gone(self) -> bool:
        """Whether the next module may be part of what the layer would stand behind."""
        return self.next_folded(self.root, replaced=True)

    def absorber(self) -> str:
        """The module before the place that does what the place's did.

        Raises:
            InputError: There is none.
        """
        place, facts = self.attached.place, self.attached.facts
        gone = [facts[place.name]]
        for name in place.before:
            found = self.up(name)
            if found is None or self.emptied(name, found[1]):
                gone += [facts[name]] if name in facts else []
                continue
            now = Facts.of(found[1])
            weights = any(was.weights for was in gone)
            shifts = any(was.shifts for was in gone)
            bare = hasattr(found[1], "bias") and found[1].bias is None
            if self.after_gone():
                raise _folded(self.attached)
            if (weights and not now.weights) or (shifts and bare):
                break
            return name
        raise _lost(self.attached)


def _lost(attached: Attached) -> InputError:
    return InputError(
        f"insert={attached.place.name!r}: the host took this module away, and no other gives these"
        " features now; take the layers out before the host changes itself, or insert afterwards"
    )


def _folded(attached: Attached) -> InputError:
    place = attached.place
    return InputError(
        f"insert={place.name!r}: the host made {place.after!r} a part of this module, and the layer"
        f" stands between the two; insert after {place.after!r}, or afterwards"
    )


def _passed_by(
    host: nn.Module, skipped: list[Attached], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Attached]:
    """Layers whose module is passed by, though the one before it runs: a forward for fused parts.

    Seen in one more run; a host that leaves out whole blocks by chance does not count.
    """
    fired: set[Attached] = set()
    handles = []
    for attached in skipped:
        look = _Look(host, attached, ())
        found = next(filter(None, map(look.up, attached.place.before)), None)
        if found is not None:
            note: Callable[..., None] = lambda m, x, y, a=attached: fired.add(a)  # noqa: E731
            handles.append(found[1].register_forward_hook(note))
    if not handles:
        return []
    before = {attached: attached.calls for attached in skipped}
    buffers = {name: value.clone() for name, value in host.named_buffers()}
    try:
        with modes_kept(host), seeded(), quiet(), torch.no_grad():
            host.forward(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for name, value in host.named_buffers():
                if name in buffers:
                    value.copy_(buffers[name])
    return [a for a in skipped if a in fired and a.calls == before[a]]


def _move_back(host: nn.Module, attached: Attached, insertions: Insertions) -> None:
    look = _Look(host, attached, ())
    found = look.up(look.absorber())
    assert found is not None
    old = look.up(attached.stands)
    if old is not None:
        drop(old[1], lambda hook: isinstance(hook, Behind) and hook.attached is attached)
    put(found[1], Behind(attached, insertions))
    vars(attached)["stands"] = found[0]
