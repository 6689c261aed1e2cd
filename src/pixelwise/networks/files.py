"""The two files that are a saved network: `config.json` and `model.safetensors`."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


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
        raise InputError(f"{folder}: cannot save the model there: {error}") from error


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
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    resized = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or extra or resized:
        raise InputError(
            f"{weights} does not fit {config}: {len(missing)} tensors missing {missing[:3]},"
            f" {len(extra)} left over {extra[:3]}, {len(resized)} of another shape"
            f" {sorted(resized)[:3]}"
        )
    return state


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

    try:
        return (
            Path(hf_hub_download(str(where), CONFIG)),
            Path(hf_hub_download(str(where), WEIGHTS)),
        )
    except Exception as error:  # the Hub's client raises many unrelated types
        raise InputError(
            f"{where}: neither a folder here nor to be had from the Hub"
            f" ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
