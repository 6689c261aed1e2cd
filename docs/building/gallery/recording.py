"""Records what a function of tensors does: its steps, and which step hears which.

Steps are calls of torch's functions and of its modules; a module counts as one step whatever it
calls. What only shapes a tensor anew (a transpose, a view, a part of it) is no step: its result
stands for the tensor itself, in another shape. What does not depend on the inputs is no step
either: it is a constant, known by the names of the parameters in it.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from building.gallery.steps import Call, Given, Record, Step

RESHAPES = frozenset(
    (
        *("permute", "transpose", "t", "mT", "T", "swapaxes", "movedim"),
        *("flatten", "unflatten", "reshape", "view", "view_as", "squeeze", "unsqueeze"),
        *("expand", "expand_as", "broadcast_to", "repeat_interleave"),
        *("contiguous", "clone", "detach", "to", "type_as", "float", "requires_grad_"),
        *("unbind", "split", "chunk", "narrow", "select", "__getitem__"),
    )
)
"""Functions that give the values of a tensor, or some of them, in another shape."""


def record(
    function: Callable[..., Any],
    owner: nn.Module,
    inputs: dict[str, Tensor],
    whole: Callable[[str, nn.Module], bool] | None = None,
) -> Record:
    """Run `function(*inputs)` and note its steps.

    Args:
        function: What is run, such as a layer's `plain`. It gives a tensor, or tensors by name.
        owner: Whose parameters and modules it uses.
        inputs: Name -> tensor.
        whole: Tells, of a module's name in `owner` and the module, whether it is one step; by
            default torch's own modules are.
    """
    recorder = _Recorder(function, owner, inputs, whole or is_one_step)
    with torch.no_grad(), _watched(recorder), recorder:
        result = function(*inputs.values())
    results = result if isinstance(result, dict) else {"y": result}
    return Record(recorder.steps, {name: recorder.given(one) for name, one in results.items()})


class _Recorder(TorchFunctionMode):
    def __init__(
        self,
        function: Callable[..., Any],
        owner: nn.Module,
        inputs: Mapping[str, Tensor],
        whole: Callable[[str, nn.Module], bool],
    ) -> None:
        super().__init__()
        self.whole = whole
        self.outermost = inspect.unwrap(function).__code__  # type: ignore[attr-defined]
        self.steps: list[Step] = []
        self.known: dict[int, tuple[Tensor, Given]] = {}  # the tensor is kept, so that ids last
        self.modules = {module: name for name, module in owner.named_modules()}
        for name, tensor in (*owner.named_parameters(), *owner.named_buffers()):
            self.note(tensor, Given(None, tuple(tensor.shape), (name.split(".")[-1],)))
        for name, tensor in inputs.items():
            self.steps.append(Step("input", [], [], name=name, shape=tuple(tensor.shape)))
            self.note(tensor, Given(len(self.steps) - 1, tuple(tensor.shape)))
        self.inside: nn.Module | None = None
        self.frames: dict[FrameType, int] = {}

    def calls(self) -> tuple[Call, ...]:
        """The calls between the function that is recorded and what it does now."""
        found: list[Call] = []
        frame = sys._getframe(1)
        while frame is not None and frame.f_code is not self.outermost:
            code = frame.f_code
            file = code.co_filename
            if "pixelwise" in Path(file).parts and not code.co_name.startswith("<"):
                owner = frame.f_locals.get("self")
                module = owner if isinstance(owner, nn.Module) else None
                number = self.frames.setdefault(frame, len(self.frames))
                says = inspect.cleandoc(str(code.co_consts[0] or "")).split("\n")[0]
                name = self.modules.get(module, "") if module is not None else ""
                found.append(Call(number, code.co_name, says, module, name))
            frame = frame.f_back
        return tuple(reversed(found))

    def note(self, tensor: Tensor, given: Given) -> None:
        self.known[id(tensor)] = (tensor, given)

    def given(self, tensor: Tensor) -> Given:
        _, known = self.known.get(id(tensor), (None, Given(None, ())))
        return Given(known.step, tuple(tensor.shape), known.names, known.place)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.inside is None:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            if results:
                self.called(_name(func), tensors, results, args, kwargs)
        return result

    def called(
        self, name: str, tensors: list[Tensor], results: list[Tensor], args: Any, kwargs: Any
    ) -> None:
        given = [self.given(tensor) for tensor in tensors]
        if all(one.step is None for one in given):
            names = tuple(dict.fromkeys(name for one in given for name in one.names))
            if not names and (calls := self.calls()):
                names = (calls[-1].function.strip("_").replace("_", " "),)
            for result in results:
                self.note(result, Given(None, tuple(result.shape), names))
        elif name in RESHAPES or _changes_nothing(name, given, args, kwargs):
            for index, result in enumerate(results):
                place = f"{given[0].place}.{index}" if len(results) > 1 else given[0].place
                self.note(result, Given(given[0].step, (), (), place))
        else:
            leaves = tree_leaves((args, kwargs))
            numbers = [leaf for leaf in leaves if type(leaf) in (int, float)]
            options = {str(place): value for place, value in enumerate(args)} | dict(kwargs)
            options = {key: value for key, value in options.items() if _plain(value)}
            self.add(Step(name, given, numbers, options), results)

    def add(self, step: Step, results: list[Tensor]) -> None:
        step.shape, step.within = tuple(results[0].shape), self.calls()
        self.steps.append(step)
        for index, result in enumerate(results):
            place = str(index) if len(results) > 1 else ""
            self.note(result, Given(len(self.steps) - 1, tuple(result.shape), place=place))

    def entered(self, module: nn.Module, args: Any) -> None:
        if self.inside is not None or module not in self.modules:
            return
        if self.whole(self.modules[module], module):
            self.inside = module

    def left(self, module: nn.Module, args: Any, result: Any) -> None:
        if self.inside is not module:
            return
        self.inside = None
        given = [self.given(leaf) for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        name = self.modules[module]
        if not results:
            return
        if all(one.step is None for one in given):
            for one in results:
                self.note(one, Given(None, tuple(one.shape), (name.split(".")[-1],)))
        elif isinstance(module, (nn.Identity, nn.Dropout, nn.Dropout2d)):
            self.note(result, given[0])
        else:
            step = Step(type(module).__name__, given, [], name=name, module=module)
            self.add(step, results)


def is_one_step(name: str, module: nn.Module) -> bool:
    """Whether a module is one of torch's own, without parts; its name does not matter."""
    return type(module).__module__.startswith("torch.nn.") and not list(module.children())


@contextmanager
def _watched(recorder: _Recorder) -> Iterator[None]:
    before = register_module_forward_pre_hook(recorder.entered)
    after = register_module_forward_hook(recorder.left)
    try:
        yield
    finally:
        before.remove()
        after.remove()


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    if name == "__get__":  # a property, such as mT
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    if name in ("requires_grad_", "__getitem__"):
        return name
    name = name.strip("_")
    return {"multiply": "mul", "rmul": "mul", "radd": "add", "truediv": "div"}.get(name, name)


def _changes_nothing(name: str, given: list[Given], args: Any, kwargs: Any) -> bool:
    numbers = [leaf for leaf in tree_leaves((args, kwargs)) if type(leaf) in (int, float)]
    if len(given) != 1 or not numbers:
        return False
    if name == "pad":
        return not any(args[1])
    neutral = {"mul": 1, "div": 1, "add": 0, "sub": 0}.get(name)
    return neutral is not None and numbers == [neutral]


def _plain(value: Any) -> bool:
    return all(not isinstance(leaf, Tensor) for leaf in tree_leaves(value))
