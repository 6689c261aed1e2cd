"""A program of torch.export as an ONNX file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from pixelwise.export.program import AXES, quietly

INPUT = "image"


def write_onnx(
    program: ExportedProgram,
    path: Path,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    free: Sequence[Mapping[int, Any]] = (),
    opset: int | None = None,
) -> None:
    """Write the file; weights beyond 1.5 GB stand beside it, in `NAME.onnx.data`.

    Args:
        program: What to write.
        path: Where.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        free: The free axes of each input, to be named.
        opset: Version of the operators; None: torch's usual one.
    """
    named = tuple({axis: AXES.get(axis, f"axis{axis}") for axis in axes} for axes in free)
    with torch.no_grad(), quietly():
        made = torch.onnx.export(
            program,
            input_names=inputs,
            output_names=outputs,
            opset_version=opset,
            dynamic_shapes=named or None,
            verbose=False,
        )
        assert made is not None
        made.save(path)


def operators(path: Path) -> dict[str, int]:
    """How often each operator occurs, the most frequent first; functions are looked into."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    nodes = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    return dict(Counter(node.op_type for node in nodes).most_common())
