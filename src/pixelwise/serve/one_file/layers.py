"""The layers of a network as files that a browser runs at a click, proven or left out.

prepare(inputs) -> handed on       once per picture
look(handed on, row, column) -> map       at every click
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from pixelwise.errors import InputError, in_one_line
from pixelwise.explanation.reading import key_of
from pixelwise.explanation.recording import LayerCall
from pixelwise.export.onnx_file import write_onnx
from pixelwise.export.program import traced_as
from pixelwise.export.proof import TOLERANCE
from pixelwise.export.running import Run, loaded
from pixelwise.serve.one_file.graphs import Look
from pixelwise.serve.one_file.halving import HALF_TOLERANCE, halve_weights
from pixelwise.serve.one_file.parting import parted

PLACE = ("row", "column")
SERVED = "`pixelwise serve` without --out shows it"
Size = tuple[int, int]


@dataclass(frozen=True)
class LayerFiles:
    """What is written of a layer.

    Args:
        name: Where it stands.
        key: Of the layer.
        kind: "pixel", "shared" or "channel".
        placed: Whether the pixel is asked for.
        inputs: How many it has.
        handed: What the click is given of the picture, by name.
        prepare: The file that makes it; None where that is what the layer is given.
        look: The file of a click.
        difference: The largest from the network, as a part of the largest weight.
    """

    name: str
    key: str
    kind: str
    placed: bool
    inputs: int
    handed: tuple[str, ...]
    prepare: Path | None
    look: Path
    difference: float


def layer_files(
    multiple: int, calls: Mapping[Size, LayerCall], folder: Path, *, half: bool = False
) -> LayerFiles:
    """Write a layer's files and prove them.

    Args:
        multiple: Of the sides that the network pads a picture to.
        calls: Size of a picture -> a call of the layer for it.
        folder: Where the files go.
        half: Whether weights are kept in float16.

    Raises:
        InputError: The layer cannot be shown, and why.
    """
    for size, call in calls.items():
        _check_placed(multiple, size, call)
    first = next(iter(calls.values()))
    middle = _places(first)[0]
    look = Look(first.layer, first.inputs, middle).eval()
    names = [f"input{i}" for i in range(len(first.inputs))]
    free = [{2: Dim.DYNAMIC, 3: Dim.DYNAMIC} for _ in names]
    given: tuple[Any, ...] = (list(first.inputs),)
    shapes: tuple[Any, ...] = (free,)
    if look.placed:
        given, shapes = (*given, *middle), (*shapes, Dim.DYNAMIC, Dim.DYNAMIC)
        names += PLACE
    whole = folder / "whole.onnx"
    prepare, rest = folder / "prepare.onnx", folder / "look.onnx"
    try:
        write_onnx(traced_as(look, given, shapes), whole, inputs=names, outputs=look.outputs)
        handed = parted(whole, PLACE, prepare, rest)
    except Exception as error:  # of torch.export and onnxscript: many unrelated types
        told = in_one_line(error, 120)
        raise InputError(f"its map cannot be exported ({told}); {SERVED}") from error
    before = prepare if prepare.exists() else None
    worst = max(_apart(look, call, handed, before, rest) for call in calls.values())
    limit = TOLERANCE
    if half and worst <= limit:
        for path in (rest, *([] if before is None else [before])):
            halve_weights(path)
        worst = max(_apart(look, call, handed, before, rest) for call in calls.values())
        limit = HALF_TOLERANCE
    if not worst <= limit:
        raise InputError(f"its exported map is {worst:.2g} of the largest weight off; {SERVED}")
    return LayerFiles(
        first.name,
        key_of(first.layer),
        look.kind,
        look.placed,
        len(first.inputs),
        handed,
        before,
        rest,
        worst,
    )


def _check_placed(multiple: int, size: Size, call: LayerCall) -> None:
    """A page places maps by the sides of the picture alone."""
    if call.size != tuple(call.inputs[0].shape[2:]):
        raise InputError(f"its output has other rows and columns than its input; {SERVED}")
    if call.covers != tuple(float(-(-side // multiple) * multiple) for side in size):
        raise InputError(f"its map lies elsewhere in the picture, by scales or padding; {SERVED}")


def _places(call: LayerCall) -> list[tuple[int, int]]:
    """Pixels of a layer's map: the middle, the corners, others."""
    rows, columns = call.inputs[0].shape[2:]
    return [
        (rows // 2, columns // 3),
        (0, 0),
        (rows - 1, columns - 1),
        (rows // 3, columns - 1),
        (rows - 1, columns // 2),
    ]


@torch.no_grad()
def _apart(
    look: Look, call: LayerCall, handed: Sequence[str], prepare: Path | None, rest: Path
) -> float:
    """The largest difference of the files from the layer, over several pixels; NaN is kept."""
    values: dict[str, Tensor] = {f"input{i}": x for i, x in enumerate(call.inputs)}
    if prepare is not None:
        values |= _run(prepare, values)
    run = loaded(rest, "onnx")
    worst = 0.0
    for row, column in _places(call):
        at = [torch.tensor(row), torch.tensor(column)] if look.placed else []
        wanted = look(call.inputs, row, column)
        try:
            found = run(*(values[name] for name in handed), *at)
        except Exception as error:  # of ONNX Runtime's own types
            raise InputError(
                f"its exported map fails ({in_one_line(error, 120)}); {SERVED}"
            ) from error
        for one, other in zip(found, wanted, strict=True):
            if one.shape != other.shape:
                raise InputError(f"its exported map has another size than its own; {SERVED}")
            largest = float(other.abs().max()) or 1.0
            worst = float(torch.tensor([worst, float((one - other).abs().max()) / largest]).max())
    return worst


def _run(path: Path, values: dict[str, Tensor]) -> dict[str, Tensor]:
    import onnx

    graph = onnx.load(path).graph
    run: Run = loaded(path, "onnx")
    found = run(*(values[entry.name] for entry in graph.input))
    return {entry.name: value for entry, value in zip(graph.output, found, strict=True)}
