"""One network of the demonstration, and by how much the first is better than the second."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from pixelwise.language import message
from pixelwise.networks.segmenter import Segmenter
from pixelwise.tasks.base import Items, Result
from pixelwise.tasks.demonstration import Demonstration
from pixelwise.tasks.measures import Measures

PLAIN = message("without attention")


@dataclass(frozen=True)
class Trained:
    """A network, evaluated on test.

    Args:
        run: Its folder.
        model: The best network on val.
        result: On test.
        inputs: What it took.
        answers: Of the pictures on the page, by number.
        targets: Likewise.
        seconds: Of training and validation.
    """

    run: Path
    model: Segmenter
    result: Result
    inputs: Items
    answers: Mapping[int, Tensor]
    targets: Mapping[int, Tensor]
    seconds: float

    @cached_property
    def measures(self) -> Measures:
        """The numbers that are told."""
        return self.result.measures()

    @property
    def parameters(self) -> int:
        """How many the network has."""
        return sum(p.numel() for p in self.model.parameters())

    def decided(self, shows: Demonstration) -> float:
        """The mean of what far context decides."""
        return sum(map(self.measures.value, shows.decides)) / len(shows.decides)


def difference(trained: Mapping[str, Trained], shows: Demonstration) -> float:
    """What far context decides: the first network's number minus the second's."""
    attended, plain = (one.decided(shows) for one in trained.values())
    return attended - plain


def gain(trained: Mapping[str, Trained], shows: Demonstration) -> float:
    """By how much the first network is better there."""
    measures = next(iter(trained.values())).measures
    larger = next(row.larger for row in measures.rows if row.name == shows.decides[0])
    return difference(trained, shows) * (1 if larger else -1)
