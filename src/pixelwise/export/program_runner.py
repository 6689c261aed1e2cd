"""Programs of PyTorch, which need no code of ours: torch.export's `.pt2`, and TorchScript."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.export.metadata import EXTRA
from pixelwise.export.named import PROGRAM
from pixelwise.export.runner import Input
from pixelwise.networks.single_file import KEY
from pixelwise.shortage import is_shortage


class ProgramRunner:
    """A program.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read, or takes no pictures.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; check the path")
        extra = {EXTRA: ""}
        exported = path.suffix.lower() in PROGRAM
        self.kind = "torch.export" if exported else "TorchScript"
        self.input = Input()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is deprecated
                if exported:
                    self._program: Any = torch.export.load(path, extra_files=extra)
                    self.input = _input(self._program)
                else:
                    self._program = torch.jit.load(path, "cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
        except InputError:
            raise
        except Exception as error:  # of zip archives, pickles, the runtime of TorchScript
            told = " ".join(str(error).split())[:160] or type(error).__name__
            raise InputError(
                f"{path}: {self.kind} cannot read it ({told}); it may be truncated or another kind"
                " of file: export or copy it again"
            ) from error
        text = extra[EXTRA]
        text = text.decode() if isinstance(text, bytes) else text
        self._told = {KEY: text} if text else {}
        self._on: dict[str, Callable[[Tensor], Any]] = {}

    @property
    def told(self) -> Mapping[str, str]:
        """The extra file that describes it."""
        return self._told

    def __call__(self, values: Tensor, device: torch.device) -> Tensor:
        """One batch.

        Raises:
            InputError: It cannot run, or returns something else than one tensor.
        """
        place = str(device)
        if place not in self._on:
            self._on[place] = self._moved(place)
        try:
            found = self._on[place](values.to(device))
        except Exception as error:
            if is_shortage(error):
                raise
            size = " x ".join(map(str, values.shape))
            told = " ".join(str(error).split())[:160]
            raise InputError(
                f"{self.name}: cannot run on {size} ({told}); give other sizes, or export it with"
                " free ones"
            ) from error
        if isinstance(found, Mapping):
            found = next((found[name] for name in ("logits", "out") if name in found), found)
        if isinstance(found, tuple | list) and len(found) == 1:
            found = found[0]
        if not isinstance(found, Tensor):
            raise InputError(
                f"{self.name}: returns {type(found).__name__}; must be one tensor of logits: export"
                " it so"
            )
        return found

    def _moved(self, place: str) -> Callable[[Tensor], Any]:
        if self.kind == "TorchScript":
            moved: Callable[[Tensor], Any] = self._program.to(place)
            return moved
        from torch.export.passes import move_to_device_pass

        program = self._program if place == "cpu" else move_to_device_pass(self._program, place)
        module: Callable[[Tensor], Any] = program.module()
        return module


def _input(program: Any) -> Input:
    """What a program takes, from the tensor that it was traced with."""
    graph = program.graph_module.graph
    names = set(program.graph_signature.user_inputs)
    nodes = [node for node in graph.nodes if node.op == "placeholder" and node.name in names]
    found = [node.meta.get("val") for node in nodes]
    if len(found) != 1 or not isinstance(found[0], Tensor) or found[0].ndim != 4:
        raise InputError(
            f"program: takes {len(found)} inputs; must take one tensor (batch, bands, height,"
            " width)"
        )
    shape = tuple(int(axis) if isinstance(axis, int) else None for axis in found[0].shape)
    return Input.of(shape, found[0].dtype)
