"""Checkpoint files of other codes, opened without running what is pickled in them.

Files of PyTorch are read with `weights_only=True`. What training codes store beside the weights
(logs, NumPy numbers, arguments) is named in `INERT`: an object of these names becomes an empty
stand-in, and no code of theirs is imported or called. Any other object is refused.
"""

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from pixelwise.errors import InputError


class _Inert:
    """Stands in for an object that a file names and nobody here needs."""

    def __new__(cls, *_: object) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


INERT = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "datetime.datetime",
)
"""Names of objects that are passed over."""

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "state")
"""Where training codes keep the weights, in the order in which they are looked for."""
LOSSES = ("loss.", "criterion.")
"""What the weights of a loss, such as those of its classes, begin with."""
PREFIXES = ("module.", "model.", "_orig_mod.")
"""What wrappers of modules put before every key."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file under its own keys, and what else it says."""

    path: Path
    state: Mapping[str, Tensor]
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside the weights, stand-ins left out."""
    size: int = 0
    """Bytes of the file."""
    losses: tuple[str, ...] = ()
    """Keys of tensors that belong to the loss, left out."""

    @classmethod
    def open(cls, path: str | Path) -> "Checkpoint":
        """Read a `.pth`, `.pt`, `.pth.tar` or `.safetensors` file.

        Raises:
            InputError: The file is missing, broken, names foreign objects, or holds no weights.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a checkpoint, e.g. danet_r50-d8.pth")
        whole = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
        state, meta = _weights(whole, path)
        losses = tuple(key for key in state if key.removeprefix("module.").startswith(LOSSES))
        state = _without_prefix({k: v for k, v in state.items() if k not in losses})
        return cls(path, state, meta, path.stat().st_size, losses)


def _safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise _broken(path, error) from error


def _pickled(path: Path) -> Any:
    stand_ins: list[Any] = [(_Inert, name) for name in INERT]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|global) ([\w.]+) (?:was not|whose)", str(error))
        if named is None:
            raise _broken(path, error) from error
        raise InputError(
            f"{path}: holds an object of {named[1]!r}, which could run code when it is opened, and"
            " was not opened. If you trust the file, open it where it was written and save its"
            " weights alone: torch.save({'state_dict': model.state_dict()}, 'weights.pth')"
        ) from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        AssertionError,
        TypeError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:  # what torch raises on bytes that are no checkpoint, by where they stop
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> InputError:
    first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")[:120]
    return InputError(
        f"{path} ({path.stat().st_size:,} bytes): cannot be read as a checkpoint ({first});"
        " it may be truncated or another kind of file: copy it again"
    )


def _weights(whole: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The mapping from keys to tensors, wherever it lies, and what lies beside it."""
    if isinstance(whole, Mapping):
        tensors = {k: v for k, v in whole.items() if isinstance(k, str) and isinstance(v, Tensor)}
        if len(tensors) > len(whole) / 2:
            rest = {k: v for k, v in whole.items() if k not in tensors}
            return {k: v.detach() for k, v in tensors.items()}, rest
        for name in WRAPPERS:
            if isinstance(whole.get(name), Mapping):
                state, meta = _weights(whole[name], path)
                beside = {k: v for k, v in whole.items() if k != name and type(v) is not _Inert}
                return state, beside | meta
        found = ", ".join(str(key) for key in list(whole)[:8])
        raise InputError(f"{path}: no weights in it; its entries are: {found or 'none'}")
    raise InputError(f"{path}: holds a {type(whole).__name__}, not weights by name")


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while state:
        first = next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None)
        if first is None:
            break
        state = {key.removeprefix(first): value for key, value in state.items()}
    return state
