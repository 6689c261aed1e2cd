"""One map out of a layer's heads, and the parts that say more than the whole.

    spatial = sum_i s_i head_i        s_i = 1, or 1 / heads where each head fills its own channels

`RULES` says for each layer which it is, what its heads are called, and how heads that belong
together are joined first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.explanation.result import Kind
from pixelwise.layers.base import AttentionLayer, FusionLayer, Maps
from pixelwise.ops.resizing import shares

MOST_PARTS = 4
"""Of more heads than that, the strongest are shown."""
Heads = Float[Tensor, "heads h w"]
Joined = Float[Tensor, "joined h w"]
At = tuple[int, int]
AnyLayer = AttentionLayer | FusionLayer


@dataclass(frozen=True)
class Reading:
    """A layer's maps without heads."""

    kind: Kind
    spatial: Float[Tensor, "h w"] | None = None
    parts: dict[str, Float[Tensor, "i j"]] = field(default_factory=dict)
    channel: Float[Tensor, " c"] | None = None


@dataclass(frozen=True)
class Rule:
    """How the heads of one layer make one map."""

    total: Literal["sum", "mean"] = "mean"
    names: str | Callable[[Any], Sequence[str]] | None = None
    """What head i is called: "base" stands for "base i"; None shows no parts."""
    joined: Callable[[Any, Tensor, Heads, At], Joined] | None = None
    """From the layer, its input, its heads and the pixel: heads that each stand for one thing."""


def _by_direction(layer: Any, x: Tensor, heads: Heads, at: At) -> Joined:
    """Of the corners between which the pixel lies, the bilinear mixture."""
    size, kept = layer.shrinking.size(x.shape[2:])
    lines = []
    for place, side, small in zip(at, x.shape[2:], size, strict=True):
        row = shares(int(small) + 2 * layer.border, side, heads, corners=int(kept))[place]
        first = min(int(row.nonzero()[0]), len(row) - 1)
        lines.append((row[first], row[first + 1 :].sum()))
    mixture = torch.stack([down * across for down in lines[0] for across in lines[1]])
    split = torch.unflatten(heads, 0, (len(layer.branches), -1))
    return split[:, 0] if split.shape[1] == 1 else torch.einsum("dphw,p->dhw", split, mixture)


def _by_group(layer: Any, x: Tensor, heads: Heads, at: At) -> Joined:
    return torch.unflatten(heads, 0, (layer.offset_groups, -1)).sum(1)


def _cell_sizes(layer: Any) -> Sequence[str]:
    return [f"cells of {stage.cell[0]}x{stage.cell[1]}" for stage in layer.stages]


def _grids(layer: Any) -> Sequence[str]:
    places = [(i, bins) for i, s in enumerate(layer.stages) for bins in s.pool_scales]
    several = len(layer.stages) > 1
    return [f"{bins}x{bins} bins" + f" of {i}" * several for i, bins in places]


RULES = {
    "acmix": Rule("mean", "head"),
    "acmix_window": Rule("mean", "head"),
    "bam": Rule("mean"),
    "binned_attention": Rule("sum", _grids),
    "coord": Rule("mean"),
    "deform": Rule("mean", "group", _by_group),
    "dnl": Rule("sum", lambda _: ("pairwise", "unary")),
    "ema": Rule("sum", "base"),
    "encoding": Rule("sum", "codeword"),
    "fpa": Rule("mean"),
    "gate": Rule("mean"),
    "isa": Rule("mean", _cell_sizes),
    "ocr": Rule("sum", "region"),
    "psanet": Rule("sum", lambda _: ("collect", "distribute"), _by_direction),
}
"""Layers with one head need no rule."""


def key_of(layer: AnyLayer) -> str:
    """The layer's key; of a part of a network that has none, the name of its file."""
    return getattr(layer, "key", type(layer).__module__.rpartition(".")[2])


def asked(layer: AnyLayer, inputs: Sequence[Tensor], at: At) -> tuple[Maps, bool]:
    """The layer's maps for its pixel `at`, and whether they are that pixel's own.

    A layer whose maps are one for all pixels gives them for no pixel, too; others refuse.
    """
    try:
        return maps_of(layer, inputs, None), False
    except (InputError, TypeError):
        return maps_of(layer, inputs, at), True


def maps_of(layer: AnyLayer, inputs: Sequence[Tensor], at: At | None) -> Maps:
    """The layer's maps, of one input or of two."""
    maps: Any = layer.maps
    return maps(*inputs, at=at)


def heads_of(layer: AnyLayer, maps: Maps, x: Tensor, at: At) -> Heads | None:
    """The heads of the first picture, those that belong together joined, in float32."""
    if maps.spatial is None:
        return None
    heads = maps.spatial[0].float()
    joined = RULES.get(key_of(layer), Rule()).joined
    return heads if joined is None else joined(layer, x, heads, at)


def total(layer: AnyLayer, heads: Heads) -> Float[Tensor, "h w"]:
    """All heads together."""
    rule = RULES.get(key_of(layer), Rule())
    return heads.sum(0) if rule.total == "sum" else heads.mean(0)


def read(layer: AnyLayer, inputs: Sequence[Tensor], at: At) -> Reading:
    """What `forward` of a layer used for its output pixel `at`; on the inputs' device."""
    maps, own = asked(layer, inputs, at)
    channel = maps.channel
    if channel is not None:
        channel = channel[0].float()
        channel = channel.mean(0) if channel.ndim == 2 else channel
    heads = heads_of(layer, maps, inputs[0], at)
    if heads is None:
        return Reading("channel", channel=channel)
    kind: Kind = "pixel" if own else "shared"
    return Reading(kind, total(layer, heads), _parts(layer, heads), channel)


def _parts(layer: AnyLayer, heads: Heads) -> dict[str, Tensor]:
    rule = RULES.get(key_of(layer), Rule(names="head"))
    if len(heads) == 1 or rule.names is None:
        return {}
    names: Sequence[str] = (
        [f"{rule.names} {i}" for i in range(len(heads))]
        if isinstance(rule.names, str)
        else rule.names(layer)
    )
    strength = heads.abs().flatten(1)
    strength = strength.sum(1) if rule.total == "sum" else strength.amax(1)
    strongest = strength.topk(min(MOST_PARTS, len(heads))).indices.tolist()
    shown = strongest if isinstance(rule.names, str) else range(len(heads))
    return {names[i]: heads[i] for i in shown}
