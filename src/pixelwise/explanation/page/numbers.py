"""An explanation's numbers as plain data for JSON; maps and pictures left out."""

from typing import Any

from pixelwise.explanation.page.verdict import judge
from pixelwise.explanation.result import Findings, LayerMap, ReceptiveField


def numbers(explanation: Findings) -> dict[str, Any]:
    """Query, answer, and for each layer, deletion and class map what was measured."""
    return {
        "at": list(explanation.at),
        "class": explanation.class_name,
        "class_index": explanation.class_index,
        "probability": explanation.probability,
        "seconds": explanation.seconds,
        "layers": [_layer(found) for found in explanation.maps],
        "rollout": None if explanation.rollout is None else _layer(explanation.rollout),
        "deletions": [
            {
                "name": deletion.name,
                "shares": list(deletion.shares),
                "attended": list(deletion.attended),
                "random": [list(order) for order in deletion.random],
                "advantage": deletion.advantage,
                "verdict": judge(deletion).words,
                "seconds": deletion.seconds,
            }
            for deletion in explanation.deletions
        ],
        "class_maps": [
            {
                "method": found.method,
                "place": found.place,
                "class": found.class_name,
                "class_index": found.class_index,
                "seconds": found.seconds,
                "peak_bytes": found.peak_bytes,
            }
            for found in explanation.class_maps
        ],
        "receptive_field": None
        if explanation.receptive is None
        else _receptive(explanation.receptive),
        "notes": list(explanation.notes),
    }


def _layer(found: LayerMap) -> dict[str, Any]:
    return {
        "name": found.name,
        "key": found.key,
        "kind": found.kind,
        "at": list(found.at),
        "size": list(found.size),
        "seconds": found.seconds,
        "peak_bytes": found.peak_bytes,
        "gain": found.gain,
        "heads": None if found.heads is None else len(found.heads),
        "apart": found.apart,
        "proof": found.proof,
    }


def _receptive(found: ReceptiveField) -> dict[str, Any]:
    return {
        "own": found.own,
        "reaches": [
            {"share": each.share, "radius": each.radius, "area": each.area}
            for each in found.reaches
        ],
        "seconds": found.seconds,
        "peak_bytes": found.peak_bytes,
    }
