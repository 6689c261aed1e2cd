"""An explanation's maps as one picture for other people's pages and slides."""

from collections.abc import Iterable, Sequence

import numpy as np

from pixelwise.explanation.page.wording import METHODS, about, place, said, with_unit
from pixelwise.explanation.placing import resampled
from pixelwise.explanation.result import Findings, LayerMap
from pixelwise.pictures.attention import Parts, attention_panels, shortened
from pixelwise.pictures.overlays import Panel

PARTS = 12
"""Parts of a layer drawn at most."""
CELLS = 512
"""Rows or columns of a receptive field's picture at most."""


def draw_maps(explanation: Findings, maps: Iterable[LayerMap]) -> bytes:
    """The picture and an overlay per map, and the parts of those that have any; PNG bytes.

    Without maps, the receptive field and the class maps.
    """
    drawn = [*maps, *([explanation.rollout] if explanation.rollout else [])]
    panels = [_panel(found) for found in drawn if found.spatial is not None]
    return attention_panels(
        explanation.picture,
        explanation.at,
        f"{said(explanation)}\n{place(explanation.at)}",
        panels if explanation.maps else _evidence(explanation),
        [_parts(found) for found in drawn if found.parts],
    )


def _panel(found: LayerMap) -> Panel:
    assert found.spatial is not None
    values, unit = with_unit(found.spatial, found.kind)
    return Panel(found.name, values, unit, about(found), found.covers)


def _parts(found: LayerMap) -> Parts:
    chosen = list(found.parts.items())[:PARTS]
    count = f", {PARTS} of {len(found.parts)}" if len(found.parts) > PARTS else ""
    panels = tuple(
        Panel(name, *with_unit(values, found.kind), "", found.covers) for name, values in chosen
    )
    return Parts(f"Parts of {shortened(found.name, 60)} ({found.key}){count}", panels)


def _evidence(found: Findings) -> Sequence[Panel]:
    panels = [
        Panel(
            f"{one.class_name}: {one.method}",
            one.values.numpy(),
            METHODS[one.method],
            shortened(one.place, 44),
            one.covers,
        )
        for one in found.class_maps
    ]
    if found.receptive is None:
        return panels
    energy = found.receptive.values
    root = resampled(energy, [min(side, CELLS) for side in energy.shape]).double().sqrt().numpy()
    unit = "gradient / largest"
    field = Panel("receptive field", root / np.max(root), unit, "no attention: what has influence")
    return [field, *panels]
