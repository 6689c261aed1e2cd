"""Settings of commands: one schema for the Python call, the flags and the YAML."""

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError


def setting(default: Any, text: str, *, advanced: bool = False) -> Any:
    """A dataclass field with its help text; advanced ones stand in the YAML, not in `--help`."""
    return field(default=default, metadata={"help": text, "advanced": advanced})


def as_plain(settings: Any) -> dict[str, Any]:
    """The settings as YAML can hold them."""
    return dataclasses.asdict(settings)


def with_tuples(value: Any) -> Any:
    """What JSON or YAML gave, with its lists as the tuples that options are made of."""
    if isinstance(value, dict):
        return {key: with_tuples(inner) for key, inner in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


def numbered_folder(parent: Path) -> Path:
    """Make the next of the folders 1, 2, 3, ... inside `parent`."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.name) for p in parent.iterdir() if p.name.isdigit()), default=0)
        while True:
            try:
                (folder := parent / str(number)).mkdir()
                return folder
            except FileExistsError:  # another run took the number at this moment
                number += 1
    except OSError as error:
        raise InputError(
            f"{parent}: cannot make the run's folder ({error.strerror}); choose another folder"
        ) from error
