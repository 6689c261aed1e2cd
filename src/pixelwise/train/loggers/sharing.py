"""What of a run's settings may be told elsewhere: no secrets, and no paths of this machine."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

SECRET = re.compile(r"token|secret|passw|credential|api_?key", re.IGNORECASE)
HIDDEN = "(hidden)"
SHOWN_PARTS = 2
"""Of a path, so many parts from its end are told."""


def shareable(settings: Any) -> dict[str, Any]:
    """Name -> number, boolean, text or None, for each field of a dataclass of settings."""
    return {
        name: HIDDEN if SECRET.search(name) else _plain(value)
        for name, value in dataclasses.asdict(settings).items()
        if name not in ("runs", "loggers")
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(_nested(value))


def _nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: HIDDEN if SECRET.search(str(k)) else _nested(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_nested(inner) for inner in value]
    return without_place(value) if isinstance(value, str) else value


def without_place(text: str) -> str:
    """A text without passwords of addresses; of a path, its last parts."""
    if "://" in text:
        return re.sub(r"//[^/\s]*@", "//", text).partition("?")[0]
    path = PureWindowsPath(text)  # it splits at both kinds of slash
    if path.drive or path.root or text.startswith(("~", "..")):
        return "/".join([part for part in path.parts[1:] if part != ".."][-SHOWN_PARTS:])
    return text
