"""What a recorded file is checked against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pixelwise.layers.reference import ReferenceWeights

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Subject:
    """One module of ours, and how it speaks of the authors' parameters."""

    module: nn.Module
    load: Callable[[Mapping[str, Tensor]], None]
    """Loads the authors' state dict into the module, through the project's own converter."""
    own: Callable[[str], Tensor]
    """The parameter or buffer of the module that holds what the authors call by this key."""
    shapes: Callable[[], Shapes]
    """The authors' keys and shapes, for files whose weights come from the recipe."""
    run: Callable[..., Tensor | tuple[Tensor, ...] | dict[str, Tensor]] | None = None
    """Inputs -> outputs in recorded order, or by name, where that is not calling the module."""

    def outputs(self, inputs: list[Tensor], names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """What the module answers, always as a tuple; `names` are those that were recorded."""
        answer = (self.run or self.module)(*inputs)
        if isinstance(answer, dict):
            return tuple(answer[name] for name in names)
        return (answer,) if isinstance(answer, Tensor) else tuple(answer)


Adapter = Callable[[dict[str, Any]], Subject]
"""Keyword arguments of the authors' class -> our module; one per system, never per file."""


def subject(
    module: ReferenceWeights,
    shapes: Callable[[], Shapes] = dict,
    run: Callable[..., Tensor | tuple[Tensor, ...]] | None = None,
) -> Subject:
    """A module that names the authors' parameters by itself."""

    def own(key: str) -> Tensor:
        return module.state_dict(keep_vars=True)[module.reference_name(key)]

    return Subject(module, module.load_reference, own, shapes, run)


class Later(nn.Module):
    """Holds a module that is built when the recorded weights, and with them its widths, are known.

    The authors' classes of some systems have numbers in their text that the recorded options do
    not tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.module: ReferenceWeights

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*inputs)


def by_weights(
    build: Callable[[Shapes], ReferenceWeights],
    without: Callable[[ReferenceWeights], Shapes] = lambda module: {},
    run: Callable[..., Any] | None = None,
) -> Subject:
    """A module that `build` makes from the shapes of the recorded weights, or from none.

    `without` gives the authors' keys and shapes where a file has none; `run` takes the module
    first.
    """
    holder = Later()

    def load(state: Mapping[str, Tensor]) -> None:
        holder.module = build({key: tuple(value.shape) for key, value in state.items()})
        holder.module.load_reference(state)

    def own(key: str) -> Tensor:
        return holder.module.state_dict(keep_vars=True)[holder.module.reference_name(key)]

    def answer(*inputs: Tensor) -> Any:
        return holder.module(*inputs) if run is None else run(holder.module, *inputs)

    return Subject(holder, load, own, lambda: without(build({})), answer)


def theirs(module: nn.Module, names: Mapping[str, str]) -> Shapes:
    """The shapes of a module's state under the authors' names: our name or beginning -> theirs."""
    keys = {}
    for name, value in module.state_dict().items():
        ours = max((o for o in names if not o or name == o or name.startswith(o + ".")), key=len)
        rest = name.removeprefix(ours).removeprefix(".")
        keys[".".join(part for part in (names[ours], rest) if part)] = tuple(value.shape)
    return keys
