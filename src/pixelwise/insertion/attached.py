"""A layer at a place of a host: x + gain * (layer(x) - x), where gain is 0 until it is trained.

With gain 0 the host computes what it did, to the last bit. A layer that gives its input back at the
start by itself (its own factor is 0) stands there without gain: with one, neither would ever get a
gradient.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.layouts import FeatureLayout
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import create
from pixelwise.settings import with_tuples

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

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `InsertionPlace.read` is the way back."""
        return {**vars(self), "options": dict(self.options), "layout": self.layout.plain()}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "InsertionPlace":
        """From what `plain` gave, also after a way through JSON."""
        options = with_tuples(dict(found["options"]))
        return cls(**{**found, "options": options, "layout": FeatureLayout.read(found["layout"])})


class Attached(nn.Module):
    """A layer behind a gain, for features in the host's layout."""

    def __init__(self, place: InsertionPlace, layer: Layer) -> None:
        super().__init__()
        self.place, self.layer = place, layer
        own, kind = place.gain == "own", next(layer.parameters(), torch.empty(0))
        self.gain: nn.Parameter | None = None
        if not own:
            count = place.channels if place.gain == "channel" else 1
            self.gain = nn.Parameter(torch.zeros(count, dtype=kind.dtype, device=kind.device))

    def forward(self, x: Tensor, image: tuple[int, int]) -> Tensor:
        """The host's features with attention; `image` is the size of the picture they are of."""
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

    def forward(self, *features: Any) -> Any:
        """Nothing: an `nn.Sequential` runs all its children, this one too."""
        return features[0] if len(features) == 1 else features

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
        found = json.loads(bytes(state.tolist()))
        return {key: InsertionPlace.read(place) for key, place in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{PLACES}: is not what an insertion writes ({in_one_line(error, 80)}); save the"
            " weights again"
        ) from error


def _layer(place: InsertionPlace) -> str:
    return json.dumps([place.key, place.channels, dict(place.options)])


class _Behind:
    """A forward hook that passes a module's output on through an insertion; deep-copies with it."""

    def __init__(self, attached: Attached, insertions: Insertions) -> None:
        self.attached, self.insertions = attached, insertions

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        image = self.insertions.image
        if isinstance(output, Tensor):
            return self.attached(output, image)
        changed = (self.attached(output[0], image), *output[1:])
        return type(output)(*changed) if hasattr(output, "_fields") else changed


class _Notes:
    """A forward pre-hook where the picture comes in: its size tells the grid of tokens."""

    def __init__(self, insertions: Insertions) -> None:
        self.insertions = insertions

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.insertions.image = (inputs[0].shape[-2], inputs[0].shape[-1])


def insertions_of(host: nn.Module) -> Insertions | None:
    """What was inserted into a host, if anything."""
    found = host._modules.get(CHILD)
    return found if isinstance(found, Insertions) else None


def attach(host: nn.Module, place: InsertionPlace, dtype: torch.dtype | None = None) -> Attached:
    """Put a layer behind a module of the host, on its device; of its type if `dtype` is None."""
    module = host.get_submodule(place.name)
    like = next((p for p in [*module.parameters(), *host.parameters()]), torch.empty(0))
    layer = create(
        place.key, place.channels, device=like.device, dtype=dtype or like.dtype, **place.options
    )
    assert isinstance(layer, Layer)
    attached = Attached(place, layer.train(host.training))
    insertions = insertions_of(host)
    if insertions is None:
        insertions = Insertions()
        host.add_module(CHILD, insertions)
    key = place.name.replace(".", "__")
    while key in insertions:  # a module may have such a name itself
        key += "_"
    insertions[key] = attached
    # First of all hooks: some networks collect the outputs of their modules by hooks of their own.
    module.register_forward_hook(_Behind(attached, insertions), prepend=True)
    if place.entrance is not None:
        gate = host.get_submodule(place.entrance)
        if not any(isinstance(hook, _Notes) for hook in gate._forward_pre_hooks.values()):
            gate.register_forward_pre_hook(_Notes(insertions))
    return attached


def detach(host: nn.Module, names: set[str] | None = None) -> None:
    """Take insertions out again: those at the places `names`, or all."""
    insertions = insertions_of(host)
    if insertions is None:
        return
    gone = {a for a in insertions.attached() if names is None or a.place.name in names}
    for module in host.modules():
        _drop(module._forward_hooks, lambda h: isinstance(h, _Behind) and h.attached in gone)
    for key in [key for key, attached in insertions.items() if attached in gone]:
        del insertions[key]
    if not insertions:
        del host._modules[CHILD]
        for module in host.modules():
            _drop(module._forward_pre_hooks, lambda hook: isinstance(hook, _Notes))


def _drop(hooks: dict[int, Any], wanted: Callable[[Any], bool]) -> None:
    for number in [number for number, hook in hooks.items() if wanted(hook)]:
        del hooks[number]
