"""What is printed of layers, upsamplers and networks."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixelwise import naming

CHANNELS, SIDE = 256, 64
"""What layers are shown with."""


@dataclass(frozen=True)
class Cost:
    """What a layer or upsampler takes at the size that cards are for.

    Args:
        parameters: How many.
        flops: Of one picture.
        power: Of the number of pixels, with which FLOPs grow.
        images: For which memory is stated.
        memory: Bytes on a CPU beyond the input, in prediction and in training.
    """

    parameters: int
    flops: int
    power: float = 1.0
    images: int = 1
    memory: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Card:
    """A layer or an upsampler.

    Args:
        title: What it is called.
        year: Of its paper.
        line: The first line about it.
        names: Other names.
        class_name: Of its class.
        about: Equations, paper and reference.
        options: A line each.
        inputs: How many maps it takes.
        cost: At the size that cards are for; None: it is to be measured.
    """

    title: str
    year: int | None
    line: str
    names: tuple[str, ...]
    class_name: str
    about: str
    options: tuple[str, ...]
    inputs: int
    cost: Cost | None = None


@dataclass(frozen=True)
class Entry:
    """A network in the list."""

    title: str
    year: int
    line: str


@dataclass(frozen=True)
class Cards:
    """All of them, by key."""

    layers: Mapping[str, Card]
    upsamplers: Mapping[str, Card]
    networks: Mapping[str, Entry]

    @property
    def layer_names(self) -> naming.Names:
        """What layers are called, and what is none here."""
        from pixelwise.layers.aliases import SHARED
        from pixelwise.layers.elsewhere import ELSEWHERE

        return naming.Names(_known(self.layers), ELSEWHERE, SHARED)

    @property
    def upsampler_names(self) -> naming.Names:
        """What upsamplers are called."""
        return naming.Names(_known(self.upsamplers))


def _known(cards: Mapping[str, Card]) -> dict[str, naming.Known]:
    return {key: naming.Known(one.title, one.year, one.names) for key, one in cards.items()}
