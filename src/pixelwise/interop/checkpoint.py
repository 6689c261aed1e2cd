"""Checkpoint files of other codes, opened without running what is pickled in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.interop import pickles
from pixelwise.interop.kinds import SAFETENSORS, broken, kind_of
from pixelwise.interop.pickles import Array, Inert

WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "state"),
    *("weights", "params", "module", "checkpoint", "student", "generator"),
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema", "params_ema", "teacher"),
)
"""Where training codes keep the weights, in the order in which they are looked for."""
ASIDE = ("optim", "sched", "scaler", "loss", "criterion", "rng", "amp", "hyper", "message_hub")
"""What the names of entries that hold no weights of a network begin with."""
DEPTH = 4
"""So many mappings inside each other are looked into."""
LOSSES = ("loss.", "criterion.")
"""What the weights of a loss, such as those of its classes, begin with."""
PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "student.", "ema.")
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

    @property
    def others(self) -> list[str]:
        """Entries of the file with other weights, such as their average over the training."""
        return [name for name in WRAPPERS if _holds_tensors(self.meta.get(name))]

    @classmethod
    def open(cls, path: str | Path) -> "Checkpoint":
        """Read a file of PyTorch, safetensors, or a pickle of arrays, whatever it is called.

        Raises:
            InputError: The file is missing, broken, names foreign objects, or holds no weights.
        """
        path = Path(path)
        kind = kind_of(path)
        whole = _safetensors(path) if kind == SAFETENSORS else pickles.read(path, kind)
        state, meta = _weights(_with_tensors(whole), path)
        counts = [key for key, value in state.items() if "." not in key and not value.ndim]
        meta |= {key: state.pop(key) for key in counts}
        losses = tuple(key for key in state if key.removeprefix("module.").startswith(LOSSES))
        state = _without_prefix({k: v for k, v in state.items() if k not in losses})
        state = {key: _dense(value, key, path) for key, value in state.items()}
        return cls(path, state, meta, path.stat().st_size, losses)


def _safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise broken(path, str(error)) from error


def _with_tensors(found: Any, depth: int = 2 * DEPTH) -> Any:
    """What a file holds, its arrays of NumPy as tensors."""
    if isinstance(found, Array):
        try:
            value = found.tensor()
        except (ValueError, TypeError):  # the bytes are not what the shape says
            value = None
        return Inert() if value is None else value
    if isinstance(found, Mapping) and depth:
        return {key: _with_tensors(value, depth - 1) for key, value in found.items()}
    return found


def _weights(whole: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The mapping from keys to tensors, wherever it lies, and what lies beside it."""
    if isinstance(whole, Tensor):
        raise InputError(f"{path}: holds one tensor, not weights by name; save a state_dict")
    if not isinstance(whole, Mapping):
        kind = "an object" if isinstance(whole, Inert) else f"a {type(whole).__name__}"
        raise InputError(f"{path}: holds {kind}, not weights by name; save a state_dict")
    for name in WRAPPERS:
        if _holds_tensors(whole.get(name)):
            state, meta = _weights(whole[name], path)
            return state, _beside(whole, name) | meta
    tensors = {k: v for k, v in whole.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if len(tensors) > len(whole) / 2:
        return {k: v.detach() for k, v in tensors.items()}, _beside(whole, *tensors)
    parts = {
        name: value
        for name, value in whole.items()
        if isinstance(name, str) and not name.startswith(ASIDE) and _holds_tensors(value)
    }
    if len(parts) == 1:
        (name,) = parts
        state, meta = _weights(parts[name], path)
        return state, _beside(whole, name) | meta
    joined = {
        f"{name}.{key}": value.detach()
        for name, part in parts.items()
        for key, value in part.items()
        if isinstance(value, Tensor)
    }
    if joined:
        return joined, _beside(whole, *parts)
    found = ", ".join(str(key)[:40] for key in list(whole)[:8])
    raise InputError(
        f"{path}: no weights in it, its entries are: {found or 'none'}; save a state_dict"
    )


def _holds_tensors(value: Any, depth: int = DEPTH) -> bool:
    """Whether there are tensors in it, or in a mapping inside that may hold weights."""
    return isinstance(value, Mapping) and any(
        isinstance(inner, Tensor)
        or (depth > 0 and not str(key).startswith(ASIDE) and _holds_tensors(inner, depth - 1))
        for key, inner in value.items()
    )


def _beside(whole: Mapping[Any, Any], *taken: str) -> dict[str, Any]:
    return {
        k: v
        for k, v in whole.items()
        if isinstance(k, str) and k not in taken and not isinstance(v, Inert)
    }


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while state:
        first = next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None)
        if first is None:
            break
        state = {key.removeprefix(first): value for key, value in state.items()}
    return state


def _dense(value: Tensor, key: str, path: Path) -> Tensor:
    """The numbers of a tensor.

    Raises:
        InputError: There are none, or they are not those that the network was trained with.
    """
    if value.is_meta:
        raise InputError(
            f"{path}: {key} is on the meta device, which keeps no numbers; save the weights from"
            " the device where the network ran"
        )
    if value.is_quantized or value.is_complex():
        kind = str(value.dtype).removeprefix("torch.")
        raise InputError(f"{path}: {key} is {kind}; save the weights before they are quantised")
    return value if value.layout == torch.strided else value.to_dense()
