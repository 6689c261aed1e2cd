"""What options, settings and flags may be: one dialect of messages, `name=value: rule; remedy`.

Every check takes the values as keywords, so that a message can name them:
`at_least(1, heads=heads, groups=groups)`.
"""

import difflib
import re

from pixelwise.errors import InputError

SECONDS = {"s": 1, "m": 60, "h": 3600}


LONGEST = 10 * 365 * 86_400
"""Seconds of a duration."""


def at_least(least: int, **values: int) -> None:
    """Raise an InputError for the first of `values` that is below `least`."""
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name}={value}: must be at least {least}; raise {name}")


def in_range(low: int | float, high: int | float, **values: int | float) -> None:
    """Raise an InputError for the first of `values` that is not from `low` to `high`."""
    for name, value in values.items():
        if not low <= value <= high:
            remedy = "raise" if value < low else "lower"
            told = f"{value:g}" if isinstance(value, float) else value
            raise InputError(f"{name}={told}: must be from {low:g} to {high:g}; {remedy} {name}")


def above_zero(**values: float | None) -> None:
    """Raise an InputError for the first of `values` that is given and not above zero."""
    for name, value in values.items():
        if value is not None and value <= 0:
            raise InputError(f"{name}={value:g}: must be above 0; raise {name}, or leave it out")


def one_of(choices: tuple[str, ...], **values: str) -> None:
    """Raise an InputError for the first of `values` that is not one of `choices`."""
    for name, value in values.items():
        if value not in choices:
            listed = ", ".join(map(repr, choices))
            close = difflib.get_close_matches(value, choices, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else "use one of them"
            raise InputError(f"{name}={value!r}: must be one of {listed}; {remedy}")


def pair(least: int, **values: int | tuple[int, int]) -> tuple[int, int]:
    """The one of `values` as (rows, columns), both `least` or more; one number stands for both."""
    ((name, value),) = values.items()
    rows, columns = (value, value) if isinstance(value, int) else value
    at_least(least, **{name: min(rows, columns)})
    return rows, columns


def parse_size(**values: str) -> tuple[int, int]:
    """`size="256x320"` -> (256, 320), height first; a single number is a square."""
    ((name, text),) = values.items()
    found = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", str(text).strip(), re.ASCII)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size) < 1:
        raise InputError(f"{name}={text!r}: must be HEIGHTxWIDTH in pixels; e.g. 256x320")
    return size


def parse_duration(**values: str) -> float:
    """`time_limit="90s"`, `"15m"` or `"2h"` -> seconds."""
    ((name, text),) = values.items()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(text).strip(), re.ASCII)
    if found and not found[2]:
        raise InputError(
            f"{name}={text!r}: needs a unit; write {found[1]}s, {found[1]}m or {found[1]}h"
        )
    seconds = float(found[1]) * SECONDS[found[2]] if found else 0.0
    if not 0 < seconds < LONGEST:
        raise InputError(f"{name}={text!r}: must be a duration; e.g. 90s, 15m or 2h")
    return seconds
