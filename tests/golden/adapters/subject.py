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


def theirs(module: nn.Module, names: Mapping[str, str]) -> Shapes:
    """The shapes of a module's state under the authors' names: our name or beginning -> theirs."""
    keys = {}
    for name, value in module.state_dict().items():
        ours = max((o for o in names if not o or name == o or name.startswith(o + ".")), key=len)
        rest = name.removeprefix(ours).removeprefix(".")
        keys[".".join(part for part in (names[ours], rest) if part)] = tuple(value.shape)
    return keys
