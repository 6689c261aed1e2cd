"""A module as a program of torch.export, with free sizes, and its file."""

import io
import logging
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import Graph, Node
from torch.fx.experimental import _config
from torch.utils._sympy.value_ranges import ValueRanges

AXES = {0: "batch", 2: "height", 3: "width"}
"""Axes of pictures that may stay free."""

LAYOUT = re.compile(r"^1 < torch\.sym_max\(|\.size\(\)\[0\] > 1$|^1 \+ \(\(.* // \d+\) > 1$")
"""Guards of a program that ask that a side or a batch is not 1, beside those with "!=".

The last is of the side of a map after a stride.
"""


@contextmanager
def quietly() -> Iterator[None]:
    """Without the exporters' own warnings and listings, which say nothing that a user could do."""
    disabled = logging.root.manager.disable
    unseen = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(unseen), redirect_stderr(unseen):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def free_axes(*, fixed: bool) -> dict[int, Any]:
    """The free axes of an input: with a fixed size only the batch."""
    return dict.fromkeys((0,) if fixed else AXES, Dim.DYNAMIC)


def traced(
    module: nn.Module,
    given: tuple[Tensor, ...],
    free: Sequence[Mapping[int, Any]],
    *,
    variadic: bool = False,
) -> ExportedProgram:
    """A module in eval mode as a program.

    Args:
        module: Takes tensors.
        given: A sample of them.
        free: The free axes of each.
        variadic: Whether the module has one parameter for all tensors, `*inputs`.
    """
    each = tuple(map(dict, free))
    return traced_as(module, given, (each,) if variadic else each)


def traced_as(module: nn.Module, given: tuple[Any, ...], shapes: Any) -> ExportedProgram:
    """A module in eval mode as a program.

    Args:
        module: Takes tensors, lists of them, and whole numbers.
        given: A sample of its arguments.
        shapes: What is free of them, in the same form, as `torch.export.export` takes it.
    """
    with torch.no_grad(), quietly():
        try:
            # Without this, sides of maps that are 1 at other sizes are taken to be another case.
            with _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
                program = torch.export.export(module, given, dynamic_shapes=shapes)
                _drop_guards_of_layout(program)
                return program
        except Exception:  # the option is young: without it, more modules can be traced
            return torch.export.export(module, given, dynamic_shapes=shapes)


def _drop_guards_of_layout(program: ExportedProgram) -> None:
    """Let a batch, a side or a number of windows be 1 where it is not so in the sample.

    torch asks that of the strides of tensors alone, which no operator of the graph depends on; a
    file is proven at such sizes. Bounds of a size that follow from guards go too: those that count
    stay as guards.
    """
    program._guards_code = [guard for guard in program._guards_code if not _is_of_layout(guard)]
    for size, bounds in program.range_constraints.items():
        if bounds.lower > 2:  # as torch bounds a size that it knows nothing of
            program.range_constraints[size] = ValueRanges(2, bounds.upper)


def _is_of_layout(guard: str) -> bool:
    """Whether it asks that a number is not 1: "a != 1", "(a*b) != (b)", "(b*a) != (b)"."""
    left, unequal, right = guard.partition(" != ")
    if not unequal:
        return LAYOUT.search(guard) is not None
    left, bare = (side.removeprefix("(").removesuffix(")") for side in (left, right))
    return (
        right == "1"
        or left.startswith((f"{right}*", f"{bare}*"))
        or left.endswith((f"*{right}", f"*{bare}"))
    )


def write_program(program: ExportedProgram, path: Path) -> None:
    """Write a `.pt2` file: through memory, as torch's own writer ends Python on a full disk."""
    _without_ceil(program)
    file = io.BytesIO()
    with quietly():
        torch.export.save(program, file)
    path.write_bytes(file.getbuffer())


def module_of(program: ExportedProgram, operation: str) -> str | None:
    """The innermost module that an operation such as "prims.erf_inv" is in; None: not known.

    Exporters call it "prims.erf_inv" or "aten.erfinv".
    """
    wanted = operation.rpartition(".")[2].replace("_", "")
    with quietly():
        nodes = program.run_decompositions().graph.nodes
    for node in nodes:
        called = str(node.target).split(".")[1:2]
        if called and called[0].replace("_", "") == wanted and node.meta.get("nn_module_stack"):
            name: str = [*node.meta["nn_module_stack"].values()][-1][0]
            return name.removeprefix("L__self__").lstrip(".")
    return None


def _without_ceil(program: ExportedProgram) -> None:
    """Write `ceil(a / b)` of whole numbers, which files cannot hold, as `(a + b - 1) // b`."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is not math.ceil or node.args[0].target is not operator.truediv:
            continue
        over: Any = node.args[0]
        above, below = over.args
        with graph.inserting_before(node):
            longer = _after(graph, operator.add, above, _less(graph, below))
            made = _after(graph, operator.floordiv, longer, below)
        node.replace_all_uses_with(made)
        graph.erase_node(node)
        if not over.users:
            graph.erase_node(over)
    program.graph_module.recompile()


def _less(graph: Graph, value: Any) -> Any:
    return value - 1 if isinstance(value, int) else _after(graph, operator.sub, value, 1)


def _after(graph: Graph, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Node:
    """A new node, with the value that it has in the sample."""
    made = graph.call_function(function, (left, right))
    known = [part.meta["val"] if isinstance(part, Node) else part for part in (left, right)]
    made.meta["val"] = function(*known)
    return made
