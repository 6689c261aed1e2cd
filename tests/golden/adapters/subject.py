"""What a recorded file is checked against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

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
    run: Callable[..., Tensor | tuple[Tensor, ...]] | None = None
    """Inputs -> outputs in recorded order, where that is not calling the module."""

    def outputs(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """What the module answers, always as a tuple."""
        answer = (self.run or self.module)(*inputs)
        return (answer,) if isinstance(answer, Tensor) else tuple(answer)


Adapter = Callable[[dict[str, Any]], Subject]
"""Keyword arguments of the authors' class -> our module; one per system, never per file."""
