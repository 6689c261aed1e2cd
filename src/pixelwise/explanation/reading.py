"""One map out of a layer's heads, and the parts that say more than the whole.

    spatial = sum_i s_i head_i        s_i = 1, or 1 / heads where each head has its own weights

The layer itself says which it is and what its heads are called, as `map_heads`, and joins heads
that belong together, by `joined_heads`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.explanation.result import Kind
from pixelwise.layers.base import AttentionLayer, FusionLayer, Maps

MOST_PARTS = 4
"""Of more heads than that, the strongest are shown."""
At = tuple[int, int]
AnyLayer = AttentionLayer | FusionLayer


@dataclass(frozen=True)
class Reading:
    """A layer's maps without heads."""

    kind: Kind
    spatial: Float[Tensor, "h w"] | None = None
    parts: dict[str, Float[Tensor, "i j"]] = field(default_factory=dict)
    channel: Float[Tensor, " c"] | None = None


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


def heads_of(
    layer: AnyLayer, maps: Maps, x: Float[Tensor, "b c h w"], at: At
) -> Float[Tensor, "joined _ _"] | None:
    """The heads of the first picture, those that belong together joined, in float32."""
    if maps.spatial is None:
        return None
    return layer.joined_heads(maps.spatial[0].float(), x, at)


def total(layer: AnyLayer, heads: Float[Tensor, "joined h w"]) -> Float[Tensor, "h w"]:
    """All heads together."""
    return heads.sum(0) if layer.map_heads.total == "sum" else heads.mean(0)


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


def _parts(layer: AnyLayer, heads: Float[Tensor, "joined h w"]) -> dict[str, Tensor]:
    how, names = layer.map_heads
    if len(heads) == 1 or names is None:
        return {}
    if isinstance(names, tuple):
        if len(names) != len(heads):
            raise InputError(
                f"map_heads={layer.map_heads}: must name the {len(heads)} heads of "
                f"{type(layer).__name__}.maps; name as many, or join some in joined_heads"
            )
        return dict(zip(names, heads, strict=True))
    strength = heads.abs().flatten(1)
    strength = strength.sum(1) if how == "sum" else strength.amax(1)
    strongest = strength.topk(min(MOST_PARTS, len(heads))).indices.tolist()
    return {f"{names} {i}": heads[i] for i in strongest}
