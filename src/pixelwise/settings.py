"""Settings of commands: one schema for the Python call, the flags and the YAML."""

import dataclasses
import re
from dataclasses import field
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError


def setting(default: Any, text: str, *, advanced: bool = False) -> Any:
    """A dataclass field with its help text; advanced ones stand in the YAML, not in `--help`."""
    return field(default=default, metadata={"help": text, "advanced": advanced})


def parse_size(text: str, name: str) -> tuple[int, int]:
    """`"256x320"` -> (256, 320), height first; a single number is a square."""
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", str(text).strip())
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size) < 1:
        raise InputError(
            f"{name} must be HEIGHTxWIDTH in pixels, for example 256x320, got {text!r}"
        )
    return size


def parse_duration(text: str, name: str) -> float:
    """`"90s"`, `"15m"`, `"2h"` or a plain number of seconds -> seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(text).strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if seconds <= 0:
        raise InputError(f"{name} must be a duration such as 90s, 15m or 2h, got {text!r}")
    return seconds


def check_range(
    name: str, value: int | float, low: int | float, high: int | float, remedy: str = ""
) -> None:
    """Raise unless low <= value <= high."""
    if not low <= value <= high:
        raise InputError(f"{name} must be in {low:g}..{high:g}, got {value:g}{remedy}")


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise unless `value` is one of `known`."""
    if value not in known:
        from pixelwise.errors import unknown

        raise unknown(name, value, known)


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
        raise InputError(f"{parent}: cannot make the run's folder: {error.strerror}") from error
