"""What is printed of layers, upsamplers and networks."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixelwise import naming

CHANNELS, SIDE = 256, 64
"""What layers are shown with."""
PICTURE, CLASSES = 512, 19
"""The sides of the picture, and the classes, that networks are shown with."""


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
class NetworkCost:
    """What a network takes at the size that cards of networks are for.

    Args:
        parameters: How many.
        flops: Of one picture.
        multiple: Of which sides of pictures are, or are padded to.
    """

    parameters: int
    flops: int
    multiple: int


@dataclass(frozen=True)
class NetworkCard:
    """A network, or a published combination of a decoder and a backbone.

    Args:
        title: What it is called.
        year: Of its paper.
        line: The first line about it.
        names: Other names.
        about: Equations, paper and reference.
        options: A line each.
        backbone: With which it is shown.
        cost: With that backbone; None: it is to be measured.
    """

    title: str
    year: int
    line: str
    names: tuple[str, ...]
    about: str
    options: tuple[str, ...]
    backbone: str
    cost: NetworkCost | None = None


@dataclass(frozen=True)
class Cards:
    """All of them, by key."""

    layers: Mapping[str, Card]
    upsamplers: Mapping[str, Card]
    networks: Mapping[str, NetworkCard]

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

    @property
    def network_names(self) -> naming.Names:
        """What networks are called, and what is none here."""
        from pixelwise.networks.elsewhere import ELSEWHERE

        return naming.Names(_known(self.networks), ELSEWHERE)


def _known(cards: Mapping[str, Card] | Mapping[str, NetworkCard]) -> dict[str, naming.Known]:
    return {key: naming.Known(one.title, one.year, one.names) for key, one in cards.items()}
