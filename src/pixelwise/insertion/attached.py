"""A layer at a place of a host: x + gain * (layer(x) - x), where gain is 0 until it is trained.

With gain 0 the host computes what it did, to the last bit. A layer that gives its input back at the
start by itself (its own factor is 0) stands there without gain: with one, neither would ever get a
gradient.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx._symbolic_trace import is_fx_symbolic_tracing
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.layouts import FeatureLayout
from pixelwise.kinds import plain
from pixelwise.layers.base import Layer

CHILD = "inserted"
"""Name under which a host holds its insertions."""
PLACES = f"{CHILD}._extra_state"
"""Key of a host's `state_dict` that says what was inserted where."""


@dataclass(frozen=True)
class InsertionPlace:
    """Which layer stands where."""

    name: str
    """The module of the host whose output passes through the layer."""
    key: str
    options: Mapping[str, Any]
    channels: int
    layout: FeatureLayout
    gain: str
    """ "scalar", "channel", or "own" where the layer is the identity at the start by itself."""
    entrance: str | None = None
    """The module that is given the picture, where the layout needs the picture's size."""
    same: tuple[str, ...] = ()
    """Modules that give the very same features, such as a block that the place is the end of."""
    before: tuple[str, ...] = ()
    """Modules whose output alone goes into the place, nearest first: a norm's convolution."""
    after: str | None = None
    """The module that alone takes the features of the place."""

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `InsertionPlace.read` is the way back."""
        return {**vars(self), "options": dict(self.options), "layout": self.layout.plain()}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "InsertionPlace":
        """From what `plain` gave, also after a way through JSON."""
        read = {
            "options": plain(dict(found["options"])),
            "layout": FeatureLayout.read(found["layout"]),
            "same": tuple(found.get("same", ())),
            "before": tuple(found.get("before", ())),
        }
        return cls(**{**found, **read})


class Facts(NamedTuple):
    """What is to be known of a module if it is taken away or replaced later."""

    weights: bool
    """Whether it has parameters or buffers."""
    mixes: bool
    """Whether a parameter has two axes or more: a convolution, a block."""
    shifts: bool
    """Whether it adds something to each channel, as a norm does."""
    neutral: bool

    @classmethod
    def of(cls, module: nn.Module) -> "Facts":
        """Those of a module as it is."""
        axes = [p.ndim for p in module.parameters()]
        weights = bool(axes) or any(True for _ in module.buffers())
        moved = getattr(module, "running_mean", None) is not None
        shifts = moved or getattr(module, "bias", None) is not None
        return cls(weights, max(axes, default=0) > 1, shifts, isinstance(module, nn.Identity))


class Attached(nn.Module):
    """A layer behind a gain, for features in the host's layout."""

    stands: str
    """The module that it stands behind now: not that of the place where the host took that away."""
    facts: dict[str, Facts]
    """What the modules around the place were when it was inserted."""
    patched: frozenset[str] = frozenset()
    """Parts of the host around the place that had a forward of their own already."""
    calls: int = 0
    warned: bool = False
    """Whether it was said that a forward did not pass through it."""

    def __init__(self, place: InsertionPlace, layer: Layer, facts: dict[str, Facts]) -> None:
        super().__init__()
        self.place, self.layer, self.stands, self.facts = place, layer, place.name, facts
        own, kind = place.gain == "own", next(layer.parameters(), torch.empty(0))
        self.gain: nn.Parameter | None = None
        if not own:
            count = place.channels if place.gain == "channel" else 1
            self.gain = nn.Parameter(torch.zeros(count, dtype=kind.dtype, device=kind.device))

    def forward(self, x: Tensor, image: tuple[int, int]) -> Tensor:
        """The host's features with attention; `image` is the size of the picture they are of."""
        if not torch.compiler.is_dynamo_compiling():
            vars(self)["calls"] = self.calls + 1
        seen = self.place.layout.to_map(x, image)
        y = self.layer(seen).to(x.dtype)
        if self.gain is None:
            y = y.contiguous(memory_format=_memory_format(seen))
        else:
            y = seen + self.gain.to(x.dtype)[:, None, None] * (y - seen)
        return self.place.layout.from_map(y, x)


def _memory_format(x: Tensor) -> torch.memory_format:
    """As x has it: the convolutions that follow may round differently in another one."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


class Insertions(nn.ModuleDict):
    """All that was inserted into one host; part of its parameters and of its `state_dict`.

    A checkpoint of the host alone loads strictly: what it lacks of the insertions stays as it is.
    """

    image: tuple[int, int] = (0, 0)
    """Size of the picture that is in the network, where a layout needs it."""
    marks: tuple[int, ...] = ()
    """How often each layer had been called when the forward began."""
    checked: bool = True
    """Whether a forward looks for the layers first."""

    def forward(self, *features: Any) -> Any:
        """Nothing: an `nn.Sequential` runs all its children, this one too."""
        return features[0] if len(features) == 1 else features

    def named_modules(self, *options: Any, **named: Any) -> Iterator[tuple[str, nn.Module]]:
        """As of any module; refuses where torch.fx looks at a host to trace it.

        A trace by symbols leaves out the hooks of the host, and fusing by it those of the norms.
        """
        if is_fx_symbolic_tracing() and get_proxy_mode() is None:
            raise InputError(
                f"insert={self.attached()[0].place.name!r}: torch.fx would leave out what was"
                " inserted; take torch.export, or pixelwise.fold to fold norms"
            )
        return super().named_modules(*options, **named)

    def attached(self) -> list[Attached]:
        """The layers with their gains."""
        return [module for module in self.values() if isinstance(module, Attached)]

    def get_extra_state(self) -> Tensor:
        """What stands where, as bytes of JSON: a tensor goes into every file of weights."""
        found = {key: a.place.plain() for key, a in self.items() if isinstance(a, Attached)}
        text = json.dumps(found)
        return torch.tensor(list(text.encode()), dtype=torch.uint8, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing: the places are those of the host.

        Raises:
            InputError: The weights hold an insertion that this host lacks.
        """
        own = {place.name: _layer(place) for place in (a.place for a in self.attached())}
        for place in read_places(state).values():
            if own.get(place.name) != _layer(place):
                raise InputError(
                    f"insert='{place.key}@{place.name}': the weights hold this insertion, but the"
                    " network has none like it there; insert with the file of weights as the plan"
                )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        state_dict.setdefault(f"{prefix}_extra_state", self.get_extra_state())  # of older versions
        for name, attached in self.items():
            start = f"{prefix}{name}."
            if not any(key.startswith(start) for key in state_dict):
                own = attached.state_dict()
                state_dict.update({start + key: value for key, value in own.items()})
        super()._load_from_state_dict(state_dict, prefix, *others)


def read_places(state: Tensor) -> dict[str, InsertionPlace]:
    """From what `Insertions.get_extra_state` gave; keys are those of the insertions.

    Raises:
        InputError: It is something else.
    """
    try:
        found = json.loads(bytes(round(value) for value in state.flatten().tolist()))
        return {key: InsertionPlace.read(place) for key, place in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{PLACES}: is not what an insertion writes ({in_one_line(error, 80)}); save the"
            " weights again"
        ) from error


def _layer(place: InsertionPlace) -> str:
    return json.dumps([place.key, place.channels, dict(place.options)])


def insertions_of(host: nn.Module) -> Insertions | None:
    """What was inserted into a host, if anything."""
    parts = host._modules
    found = parts[CHILD] if CHILD in parts else None  # noqa: SIM401  scripted modules have no get
    return found if isinstance(found, Insertions) else None
