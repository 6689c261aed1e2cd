"""What a browser runs, as modules to be exported.

    Whole    picture -> answer, probabilities, and what every attention layer is given
    Look     what a layer is given, and one of its pixels -> its map from there

So the network runs once per picture, and a click computes one row of each layer's weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.reading import AnyLayer, At, asked, heads_of, maps_of, total
from pixelwise.explanation.recording import attention_layers
from pixelwise.export.network import Exported
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.networks.segmenter import Segmenter
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.multilabel.task import Multilabel


@dataclass(frozen=True)
class Call:
    """One call of an attention layer.

    Args:
        name: Where the layer stands; "NAME#2" at its second call.
        layer: The layer.
        inputs: What it was given.
        size: Rows and columns of its output.
    """

    name: str
    layer: AnyLayer
    inputs: tuple[Tensor, ...]
    size: tuple[int, int]


@contextmanager
def called(model: nn.Module) -> Iterator[list[Call]]:
    """Every call of an attention layer while the block runs, in their order; it can be traced."""
    calls: list[Call] = []
    times: dict[str, int] = {}
    hooks = []
    for name, layer in attention_layers(model).items():

        def after(
            layer: Any, args: tuple[Any, ...], options: dict[str, Any], y: Tensor, name: str = name
        ) -> None:
            times[name] = times.get(name, 0) + 1
            given = [*args, *(options[key] for key in ("x", "guide") if key in options)]
            given = [x.clone() for x in given[: 1 + isinstance(layer, FusionLayer)]]
            told = name if times[name] == 1 else f"{name}#{times[name]}"
            calls.append(Call(told, layer, tuple(given), (y.shape[2], y.shape[3])))

        hooks.append(layer.register_forward_hook(after, with_kwargs=True))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


class Whole(nn.Module):
    """A network from raw values to its answer, with what is needed to look into its layers.

    Args:
        model: In eval mode, in float32 on the CPU.
        names: Calls of layers whose inputs are given, too.

    Shape: (1, c, h, w), raw -> the class of every pixel (1, h, w), but of several labels; the
    probability of each (1, k, h, w); inputs of the layers.
    """

    def __init__(self, model: Segmenter, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.whole = Exported(model, normalise=True)
        self.names = tuple(names)

    def forward(self, image: Float[Tensor, "1 c h w"]) -> tuple[Tensor, ...]:
        """Answer, probabilities, inputs."""
        task = self.whole.model.task
        assert isinstance(task, ClassMasks | Multilabel)
        with called(self.whole.model) as calls:
            logits = self.whole(image)
        inputs = [x for call in calls if call.name in self.names for x in call.inputs]
        found = [task.shares(logits[0])[1][None], *inputs]
        if isinstance(task, ClassMasks):
            found.insert(0, task.answer(logits).to(torch.uint8))
        return tuple(found)

    def lack(self, image: Tensor, found: Tensor, wanted: Tensor) -> float:
        """By how much the logits speak against the classes `found`, as a part of their range."""
        return self.whole.lack(image, found.long(), wanted.long())

    def outputs(self, counts: Sequence[int]) -> list[str]:
        """Names of the outputs, for layers with so many inputs each."""
        several = isinstance(self.whole.model.task, Multilabel)
        inputs = [f"layer{i}_{j}" for i, count in enumerate(counts) for j in range(count)]
        return [*([] if several else ["answer"]), "probabilities", *inputs]


class Look(nn.Module):
    """A layer's map from one of its pixels.

    Args:
        layer: In eval mode.
        inputs: A sample of what it is given.
        at: A pixel of it.

    Shape: inputs, and with `placed` the pixel's row and column -> the map (h, w), if the layer has
    one, and the gates of channels (c,), if it has some.
    """

    def __init__(self, layer: AnyLayer, inputs: Sequence[Tensor], at: At) -> None:
        super().__init__()
        self.layer = layer
        with torch.no_grad():
            maps, self.own = asked(layer, inputs, at)
        self.spatial, self.channel = maps.spatial is not None, maps.channel is not None
        self.placed = self.own or type(layer).joined_heads is not Layer.joined_heads

    @property
    def kind(self) -> str:
        """As `pixelwise.explanation.result.Kind`."""
        return ("pixel" if self.own else "shared") if self.spatial else "channel"

    def forward(
        self, inputs: Sequence[Tensor], row: int = 0, column: int = 0
    ) -> tuple[Tensor, ...]:
        """The map, and the gates of channels."""
        at = row, column
        maps = maps_of(self.layer, inputs, at if self.own else None)
        heads = heads_of(self.layer, maps, inputs[0], at)
        found = [] if heads is None else [total(self.layer, heads)]
        if maps.channel is not None:
            channel = maps.channel[0].float()
            found.append(channel.mean(0) if channel.ndim == 2 else channel)
        return tuple(found)

    @property
    def outputs(self) -> list[str]:
        """Names of what it returns."""
        return ["map"] * self.spatial + ["channel"] * self.channel
