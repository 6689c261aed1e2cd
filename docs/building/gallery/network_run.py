"""Runs a network on the meta device, to see what its decoder does with the backbone's maps."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from building.gallery.flow import Arrow, Box, Flow, flow
from building.gallery.layers_run import PLAIN
from building.gallery.recording import is_one_step, record
from building.gallery.steps import Record
from pixelwise.cost import flops, parameters
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import available as layers
from pixelwise.networks.base import Outputs
from pixelwise.networks.factory import create_model
from pixelwise.ops.running import choice

CLASSES = 19
SIDE = 512
PATCH = 16
SIZES: Sequence[Mapping[str, int]] = ({"h": 512, "w": 768}, {"h": 768, "w": 1024})


UP = "k × h × w"
"""The shape of logits at the picture's size."""


@dataclass(frozen=True)
class NetworkDrawn:
    """A network's flow, and what it costs."""

    flow: Flow
    parameters: int
    operations: int
    layers: list[str]
    """Keys of the layers inside."""
    auxiliary: dict[str, float]
    """Auxiliary outputs and their weights in the loss."""


@functools.cache
def network_flow(key: str, backbone: str) -> NetworkDrawn:
    """Run a network at two sizes; steps inside of its parts are not shown."""
    with torch.device("meta"):
        model: Any = create_model(key, backbone, num_classes=CLASSES).eval()
        sizes = _fitting(model)
        pictures = [torch.empty(1, 3, size["h"], size["w"]) for size in sizes]
    runs = [_run(model, picture) for picture in pictures]
    inside = {part.name for part in model.modules() if isinstance(part, Layer)}
    weights = dict(model.auxiliary_weights)
    return NetworkDrawn(
        _completed(flow(runs, {CLASSES: "k"}, sizes), runs, backbone, weights, sizes),
        parameters(model),
        flops(model, torch.empty(1, 3, SIDE, SIDE, device="meta")),
        sorted(inside & set(layers())),
        weights,
    )


def _fitting(model: Any) -> Sequence[Mapping[str, int]]:
    """The sizes, or others with as many patches where the backbone takes multiples of its own."""
    multiple = getattr(model.backbone, "multiple", 1)
    if all(side % multiple == 0 for size in SIZES for side in size.values()):
        return SIZES
    return [{name: side // PATCH * multiple for name, side in size.items()} for size in SIZES]


def _run(model: Any, picture: Tensor) -> Record:
    decoder = model.decoder
    features = model.backbone(picture)
    inputs = {f"map {number}": feature for number, feature in enumerate(features, 1)}

    def run(*maps: Tensor) -> dict[str, Tensor]:
        outputs: Outputs = decoder.with_auxiliary(maps)
        named = {"logits": outputs.logits, **outputs.auxiliary}
        return named if outputs.presence is None else {**named, "presence": outputs.presence}

    with choice.forced(**PLAIN):
        return record(run, decoder, inputs, _whole)


def _whole(name: str, module: nn.Module) -> bool:
    """Parts of the decoder are one step each; lists of parts are none."""
    if not name or isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return False
    if isinstance(module, Layer) and hasattr(module, "key"):
        return True
    if is_one_step(name, module) or isinstance(module, nn.Sequential):
        return True
    return not any(isinstance(part, Layer) and hasattr(part, "key") for part in module.modules())


def _completed(
    found: Flow,
    runs: Sequence[Record],
    backbone: str,
    weights: Mapping[str, float],
    sizes: Sequence[Mapping[str, int]],
) -> Flow:
    """Put the picture and the backbone before its maps, and what is left behind the logits."""
    boxes = [Box("input", ("picture",), ()), Box("group", ("backbone", backbone), ())]
    used = {arrow.source for arrow in found.arrows}
    places: dict[int, int] = {}
    for place, box in enumerate(found.boxes):
        lines, kind = box.lines, box.kind
        if kind == "input":
            if place not in used:
                continue
            width, height = runs[0].steps[box.steps[0]].shape[1:3]
            lines, kind = (box.lines[0], f"{width} at 1/{sizes[0]['h'] // height}"), "map"
        elif kind == "output" and box.lines[0] in weights:
            lines = (f"auxiliary: {box.lines[0]}", f"loss × {weights[box.lines[0]]:g}")
        places[place] = len(boxes)
        boxes.append(Box(kind, lines, box.steps))
    arrows = [Arrow(0, 1, "3 × h × w")]
    arrows += [Arrow(1, n, "") for n, box in enumerate(boxes) if box.kind == "map"]
    for arrow in found.arrows:
        source, target = places[arrow.source], places[arrow.target]
        if found.boxes[arrow.target].lines == ("logits",) and arrow.shape != UP:
            boxes.append(Box("move", ("resize to the picture",), ()))
            arrows.append(Arrow(len(boxes) - 1, target, UP))
            target = len(boxes) - 1
        arrows.append(Arrow(source, target, arrow.shape, arrow.skips))
    return Flow(boxes, arrows)
