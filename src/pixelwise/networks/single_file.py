"""A network in one safetensors file: its weights, and its description in the header."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.networks import files
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.segmenter import Segmenter

KEY = "pixelwise"
"""The entry of the header."""


def write(path: Path, described: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write weights and what `ModelConfig.plain` gives, and maybe more.

    Raises:
        InputError: The disk is full, or the file cannot be written.
    """
    whole = {name: value.contiguous().clone() for name, value in state.items()}
    told = {"format": "pt", KEY: json.dumps(dict(described))}
    try:
        save_file(whole, path, metadata=told)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{path.name}: cannot be written ({error}); free some space, or write elsewhere"
        ) from error


def description(path: Path) -> str | None:
    """The JSON in the header; None: the file has none, or is no safetensors file."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(KEY)
    except (OSError, safetensors.SafetensorError):
        return None


def read(path: Path) -> Segmenter:
    """The network, in eval mode.

    Raises:
        InputError: The file describes none, or another one than it holds.
    """
    try:
        found = json.loads(description(path) or "")
        known = {field.name for field in dataclasses.fields(ModelConfig)}
        entries = {name: value for name, value in found.items() if name in known}
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: describes no network; export it again by `pixelwise export`"
        ) from error
    config = ModelConfig.read(entries, path)
    sketch = files.sketched(path, config, Segmenter)
    state = files.read_weights(path, path, sketch.state_dict())
    model = Segmenter(config)
    model.load_state_dict(state)
    return model.eval()
