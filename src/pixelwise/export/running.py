"""Exported files, loaded as the programs that will run them do."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import InputError, in_one_line
from pixelwise.export.program import quietly

Run = Callable[..., list[Tensor]]
"""Inputs -> outputs."""


class NoKernel(InputError):
    """ONNX Runtime cannot run an operator of the file.

    Args:
        message: For people.
        node: The name of the operator's node, where it is known.
    """

    def __init__(self, message: str, node: str = "") -> None:
        super().__init__(message)
        self.node = node


def needs_onnx(path: Path) -> None:
    """Raise an InputError where what writes and runs ONNX files is not installed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"{path}: {name} is needed to write and prove ONNX files; pip install"
                " 'pixelwise[export]'"
            )


def loaded(path: Path, form: str) -> Run:
    """A file as a function of tensors on the CPU.

    Args:
        path: The file.
        form: "onnx" or "torch-export".

    Raises:
        InputError: It cannot be loaded; `NoKernel` where an operator cannot be run.
    """
    return _session(path) if form == "onnx" else _program(path)


def _session(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own types, which share no base
        told = in_one_line(error, 300)
        raise NoKernel(
            f"{path}: ONNX Runtime cannot load it ({told}); take another layer or --format"
            " torch-export",
            node_in(str(error)),
        ) from error
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        given = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        return [torch.from_numpy(found) for found in session.run(None, given)]

    return run


def node_in(told: str) -> str:
    """The node's name in a message such as `... for Det(22) node with name 'node_det'`."""
    for mark in ("node with name '", "Name:'", "(node:", "Node ("):
        _, found, rest = told.partition(mark)
        if found:
            return rest.strip().split("'")[0].split(")")[0].split(" ")[0]
    return ""


def _program(path: Path) -> Run:
    with quietly():
        module = torch.export.load(path).module()

    @torch.no_grad()
    def run(*inputs: Tensor) -> list[Tensor]:
        return tensors(module(*inputs))

    return run


def tensors(answer: Any) -> list[Tensor]:
    """The tensors in what a module returns, in order."""
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, Sequence):
        return [tensor for part in answer for tensor in tensors(part)]
    if isinstance(answer, dict):
        return [tensor for part in answer.values() for tensor in tensors(part)]
    return []
