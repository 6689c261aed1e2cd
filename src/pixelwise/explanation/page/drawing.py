"""An explanation's maps as pictures: what is drawn, in which unit."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pixelwise.explanation.result import ClassMap, Findings, Kind, LayerMap
from pixelwise.pictures.attention import Parts, attention_panels, shortened
from pixelwise.pictures.overlays import Panel

PARTS = 12
"""Parts of a layer drawn at most."""
KINDS: Mapping[Kind, str] = {
    "pixel": "this pixel's weights",
    "shared": "shared by all pixels",
    "channel": "channels only",
}
_TIMES = "weight / mean\n1 = uniform"
_METHODS = {
    "gradient": "gradient \N{MULTIPLICATION SIGN} features",
    "occlusion": "drop when covered",
}


def answer(explanation: Findings) -> str:
    """What was predicted, and where."""
    return f"{_said(explanation)} at {_place(explanation)}"


def _said(explanation: Findings) -> str:
    return f"{explanation.class_name} ({100 * explanation.probability:.0f} %)"


def _place(explanation: Findings) -> str:
    return "row {}, column {}".format(*explanation.at)


def nearly_uniform(found: LayerMap) -> bool:
    """Whether weights differ by less than a tenth: the layer looks everywhere alike."""
    if found.spatial is None or found.spatial.numel() == 1:
        return False
    low, high = found.spatial.min().item(), found.spatial.max().item()
    return low >= 0 and high - low < 0.1 * high


def draw_maps(explanation: Findings, maps: Iterable[LayerMap]) -> bytes:
    """The picture and an overlay per map, and the parts of those that have any; PNG bytes."""
    drawn = [*maps, *([explanation.rollout] if explanation.rollout else [])]
    return attention_panels(
        explanation.picture,
        explanation.at,
        f"{_said(explanation)}\n{_place(explanation)}",
        [_panel(found) for found in drawn if found.spatial is not None],
        [_parts(found) for found in drawn if found.parts],
    )


def draw_class_maps(explanation: Findings, maps: Iterable[ClassMap], name: str) -> bytes:
    """An overlay per class map, as PNG bytes.

    Args:
        explanation: Whose picture and query are drawn.
        maps: What to draw.
        name: The class.
    """
    panels = [
        Panel(
            f"{name}: {found.method}",
            found.values.numpy(),
            _METHODS[found.method],
            shortened(found.place, 44),
            found.covers,
        )
        for found in maps
    ]
    return attention_panels(explanation.picture, explanation.at, None, panels)


def _panel(found: LayerMap) -> Panel:
    assert found.spatial is not None
    values, unit = with_unit(found.spatial, found.kind)
    note = f"{found.key}, {KINDS[found.kind]}"
    if found.key == "rollout":
        note = "composed across layers"
    if found.gain == 0:
        note += ", no effect yet"
    elif found.kind == "pixel" and nearly_uniform(found):
        note += ", nearly uniform"
    return Panel(found.name, values, unit, note, found.covers)


def _parts(found: LayerMap) -> Parts:
    chosen = list(found.parts.items())[:PARTS]
    count = f", {PARTS} of {len(found.parts)}" if len(found.parts) > PARTS else ""
    panels = tuple(
        Panel(name, *with_unit(values, found.kind), "", found.covers) for name, values in chosen
    )
    return Parts(f"Parts of {shortened(found.name, 60)} ({found.key}){count}", panels)


def with_unit(values: Float[Tensor, "..."], kind: Kind) -> tuple[Float[np.ndarray, "..."], str]:
    """A pixel's weights, and others that sum to 1, in multiples of their mean; and the unit."""
    found = values.double().numpy()
    weights = kind == "pixel" or abs(found.sum() - 1) < 1e-2
    if weights and found.size > 1 and found.min() >= 0 and found.max() > 0:
        return found / found.mean(), _TIMES
    within = found.min() >= 0 and found.max() <= 1
    name = "weight" if kind == "pixel" else "gate"
    return found, f"{name}, 0 to 1" if within else name
