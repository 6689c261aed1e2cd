"""The threshold of a binary task, chosen on pictures and kept with the network."""

import dataclasses
from pathlib import Path

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.files import CONFIG


def with_threshold(config: ModelConfig, threshold: float) -> ModelConfig:
    """The description of the same network, which answers by another threshold."""
    return dataclasses.replace(config, task_options={**config.task_options, "threshold": threshold})


def keep(folder: Path, config: ModelConfig) -> None:
    """Write a saved network's `config.json` anew; it appears whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    hidden = folder / f".{CONFIG}.partial"
    try:
        config.save(hidden)
        hidden.replace(folder / CONFIG)
    except OSError as error:
        raise InputError(
            f"{folder / CONFIG}: cannot be written ({error.strerror}); give the threshold as a"
            " number, or copy the model"
        ) from error
