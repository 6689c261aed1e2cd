"""A network is traced, written and proven; where that fails, the layer at fault is named."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pixelwise.errors import InputError, in_one_line
from pixelwise.export.culprit import Run, culprit, named
from pixelwise.export.network import Exported
from pixelwise.export.nodes import first_apart, module_of
from pixelwise.export.onnx_file import INPUT, write_onnx
from pixelwise.export.program import free_axes, traced, write_program
from pixelwise.export.program import module_of as module_of_operation
from pixelwise.export.proof import RUNS, Row, Unequal, prove
from pixelwise.export.running import NoKernel
from pixelwise.language import translate
from pixelwise.shortage import is_shortage

BATCHES = (2, 1, 3)
"""What is run where the size is fixed."""


def written(
    network: Exported,
    path: Path,
    form: str,
    *,
    size: tuple[int, int] | None = None,
    opset: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Write a file and prove it.

    Args:
        network: What to write.
        path: Where.
        form: "onnx" or "torch-export".
        size: Height and width, where they are fixed.
        opset: Version of ONNX's operators.
        say: Is told what is being done.

    Raises:
        InputError: It cannot be written, or is not the network; the layer is named.
    """
    inputs = network.inputs()
    runs = RUNS if size is None else tuple((batch, size) for batch in BATCHES)
    free = [free_axes(fixed=size is not None)]
    step, program = "tracing", None
    try:
        say(step)
        program = traced(network, inputs(*runs[0]), free)
        step = "writing"
        say(step)
        if form == "onnx":
            ends = [INPUT], [network.output]
            write_onnx(program, path, inputs=ends[0], outputs=ends[1], free=free, opset=opset)
        else:
            write_program(program, path)
        step = "proving"
        say(step)
        return prove(network, path, form, inputs=inputs, runs=runs)
    except OSError:
        raise
    except Exception as error:  # of torch.export, onnxscript and the runtimes: many unrelated types
        if is_shortage(error):
            raise
        say(translate("failed; looking for the layer at fault"))
        layer = None
        if program is not None and (operation := _untranslated(error)):
            layer = module_of_operation(program, operation)
        if layer is None:
            layer = _layer(error, step, network, path, form, runs)
        remedy = _remedy(form, fixed=size is not None)
        reason = _reason(error, step).replace(f"{path}: ", "")
        raise InputError(f"layer={named(network, layer)!r}: {reason}; {remedy}") from error


def _layer(
    error: Exception, step: str, network: Exported, path: Path, form: str, runs: Sequence[Run]
) -> str:
    """The module at fault; "": the whole network."""
    inputs = network.inputs()
    found = None
    if isinstance(error, NoKernel | Unequal) and error.node:
        found = module_of(path, error.node)
    elif isinstance(error, Unequal) and form == "onnx":
        with suppress(Exception):  # of the runtime, where values inside cannot be had
            found = first_apart(path, network, inputs(*error.run))
    if found is not None or (form == "onnx" and step == "proving"):
        return found or ""
    other = error.run if isinstance(error, Unequal) and error.run != runs[0] else runs[1]
    return culprit(network, (runs[0], other), inputs, written=step == "writing")


def _reason(error: Exception, step: str) -> str:
    if isinstance(error, InputError):  # of ours: what is wrong, without what to do
        return str(error).rpartition("; ")[0]
    operation = _untranslated(error)
    if operation:
        return f"operator {operation} has no translation to ONNX"
    return f"{step} failed ({in_one_line(error, 200).replace(';', ',')})"


def _untranslated(error: BaseException | None) -> str | None:
    """The operator that the exporter does not know, from what its errors say; None: not that."""
    while error is not None:
        found = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", str(error))
        if found:
            return found[1]
        error = error.__cause__
    return None


def _remedy(form: str, *, fixed: bool) -> str:
    others = "take another layer"
    if not fixed:
        others = f"fix the size, such as --size 512x512, or {others}"
    other = "torch-export" if form == "onnx" else "onnx"
    return f"{others}, or try --format {other}"
