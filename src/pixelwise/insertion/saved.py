"""Files with insertions: those that hold them alone, and weights of whole networks with them."""

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.attached import InsertionPlace
from pixelwise.insertion.inserted import PLAN
from pixelwise.insertion.restoring import Plan, holds_insertions, plans

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
"""Of files with weights."""
Saved = tuple[nn.Module, list[InsertionPlace], dict[str, Tensor]]
"""The network that layers go into, their places, and their weights."""


def is_saved(plan: str | Path | Mapping[Any, Any]) -> bool:
    """Whether this is no plan in words, but weights with insertions or where they lie."""
    if isinstance(plan, str):
        return plan.endswith(SUFFIXES) or (not {*"=@"} & {*plan} and Path(plan).is_dir())
    if isinstance(plan, Path):
        return True
    return any(isinstance(value, Tensor) for value in plan.values()) or holds_insertions(plan)


def read_saved(host: nn.Module, given: str | Path | Mapping[Any, Any]) -> Saved:
    """Places and weights that `Inserted.save` wrote, or that weights of a whole network hold.

    Raises:
        InputError: No such file, or one that holds something else.
    """
    if isinstance(given, Mapping):
        return _of(host, plans(given))
    path = Path(given)
    if path.is_dir():
        return _of(host, plans(_folder(path), str(path)))
    if path.suffix != ".safetensors":
        return _of(host, plans(_pickled(path), str(path)))
    try:
        with safe_open(path, framework="pt") as file:
            plan = (file.metadata() or {}).get(PLAN)
            if plan is None:
                return _of(host, plans(load_file(path), str(path)))
            places = [InsertionPlace.read(entry) for entry in json.loads(plan)]
            return host, places, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error


def _folder(path: Path) -> dict[str, Any]:
    """The weights in a folder, in one file or in numbered ones."""
    for suffix in SUFFIXES:
        if files := sorted(path.glob(f"*{suffix}")):
            break
    else:
        raise InputError(f"{path}: holds no file of weights; give the folder they were saved to")
    named = [file for file in files if file.name.startswith(("model", "pytorch_model"))]
    files = named or files  # beside settings and optimisers
    numbered = all("-of-" in file.name for file in files)
    if len(files) > 1 and not numbered:
        names = ", ".join(file.name for file in files)
        raise InputError(f"{path}: holds several files, {names}; give the file with the weights")
    state: dict[str, Any] = {}
    for file in files:
        try:
            state |= load_file(file) if suffix == ".safetensors" else _pickled(file)
        except (OSError, safetensors.SafetensorError, ValueError) as error:
            raise _unreadable(file, error) from error
    return state


def _pickled(path: Path) -> Mapping[Any, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds objects, or is damaged, and is not opened; if you trust it, load it by"
            " torch.load(..., weights_only=False) and give insert the state_dict"
        ) from error
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: holds no weights by name; save a state_dict")
    return found


def _of(host: nn.Module, found: list[Plan]) -> Saved:
    if len(found) > 1:
        names = ", ".join(repr(plan.prefix) for plan in found)
        raise InputError(
            f"the weights hold insertions of several networks, {names}; give the weights of one"
        )
    (plan,) = found
    return plan.host(host), list(plan.places.values()), plan.weights()


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"{path}: cannot be read as saved insertions ({in_one_line(error, 160)}); give a file that"
        " Inserted.save wrote, or weights of a network with insertions"
    )
