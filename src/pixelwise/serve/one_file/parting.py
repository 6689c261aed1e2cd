"""An ONNX graph in two: what depends on some of its inputs, and what does not.

    prepare     the other inputs -> everything that the rest needs of them
    rest        that, and the named inputs -> the outputs

So a click does not compute again what is the same for every pixel.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def parted(source: Path, late: Iterable[str], prepare: Path, rest: Path) -> tuple[str, ...]:
    """Write both parts, and tell what they hand on; what is nothing but an input is among it.

    Args:
        source: The file.
        late: Inputs that are known later.
        prepare: File of the first part; not written where nothing can be done before.
        rest: File of the second.
    """
    import onnx

    model, late = onnx.load(source), tuple(late)
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    known = {entry.name: entry for entry in (*graph.input, *graph.value_info, *graph.output)}
    later = set(late)
    for node in graph.node:
        if any(name in later for name in _read(node)):
            later.update(node.output)
    first = [node for node in graph.node if not later.intersection(node.output)]
    second = [node for node in graph.node if later.intersection(node.output)]
    ends = [entry.name for entry in graph.output]
    wanted = [name for node in second for name in _read(node)] + ends
    handed = tuple(
        name for name in dict.fromkeys(wanted) if name and name not in weights and name not in later
    )
    # What reads no input, such as a constant, is computed where it is needed.
    constant = _constant(first, weights)
    fixed = [name for name in handed if name in constant]
    handed = tuple(name for name in handed if name not in constant)
    second = [*_needed(first, fixed), *second]
    inputs = [entry.name for entry in graph.input]
    made = [name for name in handed if name not in inputs]
    if made:
        before = _needed(first, made)
        read = {name for node in before for name in _read(node)}
        early = [name for name in inputs if name in read]
        _write(model, prepare, before, early, made, known)
    _write(model, rest, second, [*handed, *(n for n in inputs if n in late)], ends, known)
    return handed


def _read(node: Any) -> Iterator[str]:
    """What a node reads, and what graphs inside of it read."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read(inner)


def _constant(nodes: Iterable[Any], weights: set[str]) -> set[str]:
    """Results that depend on no input."""
    found: set[str] = set()
    for node in nodes:
        if all(not name or name in weights or name in found for name in _read(node)):
            found.update(node.output)
    return found


def _needed(nodes: list[Any], ends: Iterable[str]) -> list[Any]:
    """The nodes that `ends` depend on, in their order."""
    wanted, kept = set(ends), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_read(node))
    return kept[::-1]


def _write(
    model: Any, path: Path, nodes: list[Any], inputs: list[str], outputs: list[str], known: Any
) -> None:
    import onnx

    read = {name for node in nodes for name in _read(node)} | set(outputs)
    graph = onnx.helper.make_graph(
        nodes,
        path.stem,
        [known[name] for name in inputs],
        [known[name] for name in outputs],
        [weight for weight in model.graph.initializer if weight.name in read],
    )
    made = onnx.helper.make_model(
        graph, opset_imports=model.opset_import, functions=model.functions
    )
    made.ir_version = model.ir_version
    onnx.save(made, path)
