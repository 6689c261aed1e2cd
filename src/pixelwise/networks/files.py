"""The two files that are a saved network: `config.json` and `model.safetensors`."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import PLACES
from pixelwise.layers.reference import kind_name, same_kind
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.config_file import expected

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
Build = Callable[[ModelConfig], nn.Module]
DETAILS = (
    *("options", "backbone_options", "attention", "convolution", "multi_grid", "output_stride"),
    *("insert", "task", "align_corners"),
)
"""Entries of a description that can be left out."""
UNBUILT = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RuntimeError,
    AssertionError,
    ArithmeticError,
    ImportError,
    OSError,
    MemoryError,
)
"""What constructors of networks, timm's among them, raise for what they cannot build."""


def write(folder: str | Path, config: ModelConfig, state: Mapping[str, Tensor]) -> None:
    """Write both; each file appears whole or not at all.

    Raises:
        InputError: The folder cannot be written, or holds files of these names of another code.
    """
    folder = Path(folder)
    _refuse_others(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as hidden:
            whole = {name: value.contiguous() for name, value in state.items()}
            save_file(whole, Path(hidden) / WEIGHTS, metadata={"format": "pt"})
            config.save(Path(hidden) / CONFIG)
            for name in (WEIGHTS, CONFIG):
                (Path(hidden) / name).replace(folder / name)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{folder}: cannot save the model there ({error}); choose another folder"
        ) from error


def _refuse_others(folder: Path) -> None:
    """Raise where files stand there that are no saved network of this package."""
    standing = [name for name in (CONFIG, WEIGHTS) if (folder / name).exists()]
    if not standing:
        return
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        ours = {"arch", "backbone", "num_classes"} <= set(found)
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise InputError(
            f"{folder / standing[0]}: is not of a network that was saved by pixelwise; choose"
            " another folder"
        )


def read_weights(weights: Path, config: Path, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, for a network whose own ones, as `config` describes it, are `own`.

    Raises:
        InputError: The file cannot be read, or its tensors do not fit.
    """
    try:
        state = load_file(weights)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{weights}: cannot be read as safetensors ({error}); the file may be truncated,"
            " copy it again"
        ) from error
    own = {name: value for name, value in own.items() if name != PLACES}  # said by the config too
    faults = {
        "missing": sorted(own.keys() - state.keys()),
        "left over": sorted(state.keys() - own.keys() - {PLACES}),
        "of another shape": [
            f"{k} {tuple(state[k].shape)} for {tuple(own[k].shape)}"
            for k in sorted(own.keys() & state.keys())
            if own[k].shape != state[k].shape
        ],
        "of another type": [
            f"{k} {kind_name(state[k])} for {kind_name(own[k])}"
            for k in sorted(own.keys() & state.keys())
            if not same_kind(state[k], own[k])
        ],
    }
    told = "; ".join(f"{len(n)} tensors {what}: {_some(n)}" for what, n in faults.items() if n)
    if told:
        raise InputError(
            f"{weights} does not fit {config}: {told}; take both files as they were saved together"
        )
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def sketched(path: Path, config: ModelConfig, build: Build) -> nn.Module:
    """The network that a file describes, on the meta device: its widths need no memory yet.

    Raises:
        InputError: It cannot be built, with the entry without which it could.
    """
    try:
        with torch.device("meta"):
            return build(config)
    except UNBUILT as error:
        entry = next((name for name in DETAILS if _builds(config, name, build)), "arch, backbone")
        told = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        if not isinstance(error, InputError):
            told = f"the network cannot be built ({told[:120]}); {expected()}"
        raise InputError(f"{path}: {entry}: {told}") from error


def _builds(config: ModelConfig, name: str, build: Build) -> bool:
    """Whether the network can be built where this entry is as if nobody had given it."""
    empty = {name: getattr(ModelConfig("", "", 1), name)}
    try:
        with torch.device("meta"):
            build(dataclasses.replace(config, **empty))
    except UNBUILT:
        return False
    return True


def find(where: str | Path) -> tuple[Path, Path]:
    """The config and the weights in a folder, or of a name on the Hub, where they are fetched.

    Raises:
        InputError: There is no such folder, a file is missing, or the Hub does not have the name.
    """
    folder = Path(where)
    if folder.is_dir():
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise InputError(
                    f"{folder}: no {name} in it; give the folder that holds {WEIGHTS} and {CONFIG}"
                )
        return folder / CONFIG, folder / WEIGHTS
    if folder.exists() or str(where).count("/") != 1 or str(where).startswith((".", "~", "/")):
        raise InputError(
            f"{where}: no such folder; give a folder that holds {WEIGHTS} and {CONFIG}, or a"
            " model's name on the Hub (owner/name)"
        )
    from huggingface_hub import hf_hub_download

    from pixelwise.networks.publishing.hub import told

    try:
        return (
            Path(hf_hub_download(str(where), CONFIG)),
            Path(hf_hub_download(str(where), WEIGHTS)),
        )
    except Exception as error:  # the Hub's client raises many unrelated types
        raise told(f"{where} is no folder here, and on the Hub", error) from error
