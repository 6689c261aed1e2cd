"""What is probed: layers with options, and what they are compared with.

    none        nothing: answers by chance
    conv3x3     a 3x3 convolution
    convs       four 3x3 convolutions, one after the other
    dilated     the same with dilations 1, 2, 4 and 8
    mean        the average of all pixels, through a 1x1 convolution, added to each

These are the baselines; a name that is none of them is a layer's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers import registry
from pixelwise.layers.option_text import split, write_options
from pixelwise.layers.plans import read_plan

ALL = "all"


class _Mean(nn.Module):
    """x + relu(norm(W mean(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what the average says to every pixel."""
        return x + self.transform(x)


def _convolution(channels: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)


def _convolutions(channels: int, dilations: Iterable[int]) -> nn.Sequential:
    """Convolutions, with a norm and a ReLU between them."""
    parts: list[nn.Module] = []
    for dilation in dilations:
        parts += [_convolution(channels, dilation), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*parts[:-2])


BASELINES: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "conv3x3": _convolution,
    "convs": lambda channels: _convolutions(channels, (1, 1, 1, 1)),
    "dilated": lambda channels: _convolutions(channels, (1, 2, 4, 8)),
    "mean": _Mean,
}


@dataclass(frozen=True)
class Subject:
    """A layer or a baseline.

    Args:
        name: In tables, and how it is typed.
        key: Of the layer; "" for a baseline.
        options: Of the layer.
        optional: Whether it was not named, but is one of `all`.
    """

    name: str
    key: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False

    @property
    def is_baseline(self) -> bool:
        """Whether it is no layer of the library."""
        return not self.key

    def build(self, channels: int) -> nn.Module:
        """A new one, for so many channels.

        Raises:
            InputError: An option does not exist or is out of range.
        """
        if self.is_baseline:
            return BASELINES[self.name](channels)
        return registry.create(self.key, channels, **self.options)


def subjects(names: Iterable[str], *, baselines: bool) -> list[Subject]:
    """What is to be probed, each once, baselines first.

    Args:
        names: As they are typed: `psa_s`, `isa(down_factors=[(8, 8)])`, several between commas,
            `all`, or baselines.
        baselines: Add all of these.

    Raises:
        InputError: There is no such layer.
    """
    found = [subject for name in names for subject in _read(name)]
    if baselines:
        found = [*map(Subject, BASELINES), *found]
    named = {one.name: one for one in found if not one.optional}
    return list({one.name: named.get(one.name, one) for one in found}.values())


def spelt(names: Iterable[str]) -> tuple[str, ...]:
    """The same names with the one key of each layer; `all` stays."""
    words = [word for name in names for word in _words(name)]
    return tuple(ALL if word == ALL else next(_read(word)).name for word in words)


def _words(text: str) -> list[str]:
    try:
        return [word.strip() for word in split(text, ",") if word.strip()]
    except InputError as error:
        raise InputError(f"{text}: {error}") from error


def _read(text: str) -> Iterator[Subject]:
    for word in _words(text):
        if word in BASELINES:
            yield Subject(word)
        elif word == ALL:
            yield from (Subject(key, key, optional=True) for key in registry.names())
        else:
            yield _layer(word)


def _layer(text: str) -> Subject:
    placed = read_plan(text, "layer", default=("here",))
    if len(placed) != 1 or placed[0].where != "here":
        raise InputError(
            f"layer={text!r}: a probe has one place only; write a layer without a place, such as"
            " psa_s"
        )
    _, key, options = placed[0]
    told = write_options(options)
    return Subject(f"{key}({told})" if told else key, key, options)
