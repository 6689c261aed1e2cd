"""A network as files that a browser runs, each proven, and what the page is told of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim

from pixelwise.errors import InputError
from pixelwise.explanation.host_calls import host_attentions
from pixelwise.explanation.recording import LayerCall, recorded
from pixelwise.export.onnx_file import INPUT, write_onnx
from pixelwise.export.program import traced
from pixelwise.export.proof import prove
from pixelwise.export.running import loaded
from pixelwise.networks.segmenter import Segmenter
from pixelwise.serve.one_file.graphs import Whole
from pixelwise.serve.one_file.halving import HALF_TOLERANCE, halve_weights
from pixelwise.serve.one_file.layers import LayerFiles, Size, layer_files

SIZES = ((96, 128), (97, 61), (7, 12), (64, 200))
"""The sample's, and others that files are proven at: odd, smaller than strides, not square."""


@dataclass(frozen=True)
class NetworkFiles:
    """What is written of a network.

    Args:
        whole: The file that runs once per picture.
        outputs: Names of what it gives.
        layers: Of those that are shown.
        limits: Why others are not, a line each.
        difference: The largest: of logits and inputs of layers as a part of their range; with
            halved weights, of a probability.
    """

    whole: Path
    outputs: tuple[str, ...]
    layers: tuple[LayerFiles, ...]
    limits: tuple[str, ...]
    difference: float


def network_files(
    model: Segmenter, folder: Path, *, half: bool, say: Callable[[str], None]
) -> NetworkFiles:
    """Write the files of a network.

    Args:
        model: In eval mode, in float32 on the CPU.
        folder: Where they go.
        half: Whether weights are kept in float16.
        say: Is told what is being done.

    Raises:
        InputError: The network cannot be exported.
    """
    calls = _calls(model)
    layers: list[LayerFiles] = []
    limits = [_hosts(model)] if _hosts(model) else []
    for number, (name, of) in enumerate(calls.items()):
        say(f"layer   {name}")
        inside = folder / f"layer{number}"
        inside.mkdir()
        try:
            layers.append(layer_files(model.multiple, of, inside, half=half))
        except InputError as error:
            limits.append(f"{name}: not shown here, {error}")
    say("network")
    whole = Whole(model, [layer.name for layer in layers]).eval()
    path = folder / "network.onnx"
    outputs = whole.outputs([layer.inputs for layer in layers])
    difference = _written(whole, path, outputs)
    if half:
        halve_weights(path)
        difference = _lost(whole, path, outputs.index("probabilities"))
    return NetworkFiles(path, tuple(outputs), tuple(layers), tuple(limits), difference)


def _picture(model: Segmenter, size: Size) -> Tensor:
    """Noise, as the file takes it."""
    (image,) = Whole(model).whole.inputs()(1, size)
    return image


@torch.no_grad()
def _calls(model: Segmenter) -> dict[str, dict[Size, LayerCall]]:
    """Name -> size of a picture -> the call of a layer, for what is called at all sizes."""
    whole = Whole(model).whole
    found: dict[str, dict[Size, LayerCall]] = {}
    for size in SIZES:
        with recorded(model, size) as calls:
            whole(_picture(model, size))
        for call in calls:
            found.setdefault(call.name, {})[size] = call
    return {name: of for name, of in found.items() if len(of) == len(SIZES)}


def _hosts(model: Segmenter) -> str:
    """A line on attention that is the backbone's own, if it has some."""
    image = torch.zeros(1, model.config.in_channels, *SIZES[0])
    with torch.no_grad():
        names = [call.name for call in host_attentions(model, image, SIZES[0]).calls]
    if not names:
        return ""
    return f"the backbone's own attention ({names[0]}, {len(names)} in all): not shown here"


def _written(whole: Whole, path: Path, outputs: list[str]) -> float:
    """Export and prove; the largest difference."""
    model = whole.whole.model
    free = [{2: Dim.DYNAMIC, 3: Dim.DYNAMIC}]
    try:
        program = traced(whole, (_picture(model, SIZES[0]),), free)
        write_onnx(program, path, inputs=[INPUT], outputs=outputs)
    except Exception as error:  # of torch.export and onnxscript: many unrelated types
        raise InputError(
            f"model={model.config.arch}: cannot be written for browsers; pixelwise export tells"
            " which layer is at fault, and pixelwise serve shows it without --out"
        ) from error
    inputs = whole.whole.inputs()
    rows = prove(whole, path, "onnx", inputs=inputs, runs=[(1, size) for size in SIZES])
    return max(row.difference for row in rows)


@torch.no_grad()
def _lost(whole: Whole, path: Path, place: int) -> float:
    """The largest difference of a probability."""
    run = loaded(path, "onnx")
    worst = 0.0
    for size in SIZES:
        image = _picture(whole.whole.model, size)
        worst = max(worst, float((run(image)[place] - whole(image)[place]).abs().max()))
    if not worst <= HALF_TOLERANCE:
        raise InputError(
            f"half: changes a probability by {worst:.2g}, more than {HALF_TOLERANCE:g}; leave it"
            " out"
        )
    return worst
