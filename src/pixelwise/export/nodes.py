"""Which layer an ONNX file gets wrong: its values inside are compared, node by node."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.export.proof import TOLERANCE, apart
from pixelwise.export.running import tensors

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where the exporter notes a node's modules, from the outermost."""


def scopes_of(node: Any) -> list[str]:
    """The modules that a node is inside of, from the outermost."""
    found = {entry.key: entry.value for entry in node.metadata_props}.get(SCOPES, "")
    names = [word.strip(" '\"") for word in found.strip("[]").split(",")][:-1]
    return [name for name in names if name]


def module_of(path: Path, node: str) -> str | None:
    """The innermost module of a node, by its name; None: it is not known."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    found = next((entry for entry in model.graph.node if entry.name == node), None)
    scopes = [] if found is None else scopes_of(found)
    return scopes[-1] if scopes else None


@torch.no_grad()
def first_apart(path: Path, network: nn.Module, given: tuple[Tensor, ...]) -> str | None:
    """The first module whose output no value in the file is equal to; None: there is none.

    Modules end in the order of `forward`, inner ones before outer ones: the first is at fault.
    """
    ends = _outputs(network, given)
    values = _values(path, given)
    for name, wanted in ends.items():
        alike = [value for value in values[name] if value.shape == wanted.shape]
        if alike and not any(apart(value, wanted) <= TOLERANCE for value in alike):
            return name
    return None


def _outputs(network: nn.Module, given: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Name -> output of each module that gives one tensor, in the order in which they end."""
    found: dict[str, Tensor] = {}
    hooks = []
    for name, module in network.named_modules():

        def note(_: nn.Module, __: Any, answer: Any, name: str = name) -> None:
            if isinstance(answer, Tensor) and answer.is_floating_point():
                found.setdefault(name, answer.clone())

        if name:
            hooks.append(module.register_forward_hook(note))
    try:
        tensors(network(*given))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _values(path: Path, given: tuple[Tensor, ...]) -> dict[str, list[Tensor]]:
    """Module -> the values that its nodes have in the file."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    owners = {out: scopes_of(node) for node in model.graph.node for out in node.output if out}
    for out in owners:
        if out not in known:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(out))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    feed = {e.name: x.numpy() for e, x in zip(session.get_inputs(), given, strict=True)}
    found: dict[str, list[Tensor]] = defaultdict(list)
    for name, value in zip(names, session.run(names, feed), strict=True):
        if getattr(value, "dtype", None) == "float32":
            for owner in owners[name]:
                found[owner].append(torch.from_numpy(value))
    return found
