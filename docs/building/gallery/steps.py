"""What a run of a function is taken apart into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given:
    """What a step is given: the result of another (by its number), an input, or a constant."""

    step: int | None
    shape: Shape
    names: tuple[str, ...] = ()
    """Of a constant: the parameters, buffers and modules that it is made of."""
    place: str = ""
    """Which part of a result of several it is."""


@dataclass(frozen=True)
class Call:
    """A call of a helper, or of a module with parts."""

    number: int
    """Tells calls apart."""
    function: str
    says: str
    """The first line of its docstring."""
    module: nn.Module | None
    name: str
    """The module's name in the layer."""


@dataclass
class Step:
    """One call."""

    what: str
    """Name of the function, or the class of the module."""
    given: list[Given]
    numbers: list[float]
    """Numbers among the arguments of the function."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that are no tensors."""
    name: str = ""
    """The module's name in the layer."""
    module: nn.Module | None = None
    shape: Shape = ()
    """Of the result."""
    within: tuple["Call", ...] = ()
    """The calls of Python in which it happened, from the outside in."""


@dataclass
class Record:
    """All steps of a run, in order; the first ones are the inputs."""

    steps: list[Step]
    results: dict[str, Given]
    """Name -> what the function gave."""
