"""What options, settings and flags may be: one dialect of messages, `name=value: rule; remedy`."""

import re

from pixelwise.errors import InputError, unknown


def at_least(least: int, **values: int) -> None:
    """Raise an InputError for the first of `values` that is below `least`."""
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name}={value}: must be at least {least}; raise {name}")


def one_of(choices: tuple[str, ...], **values: str) -> None:
    """Raise an InputError for the first of `values` that is not one of `choices`."""
    for name, value in values.items():
        if value not in choices:
            listed = ", ".join(map(repr, choices))
            raise InputError(f"{name}={value!r}: must be one of {listed}; use one of them")


def pair(least: int, **values: int | tuple[int, int]) -> tuple[int, int]:
    """The one of `values` as (rows, columns), both `least` or more; one number stands for both."""
    ((name, value),) = values.items()
    rows, columns = (value, value) if isinstance(value, int) else value
    at_least(least, **{name: min(rows, columns)})
    return rows, columns


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
        raise unknown(name, value, known)
