"""What of a run's settings may be told elsewhere: no secrets, and no paths of this machine."""

import re
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

SECRET = re.compile(r"token|secret|passw|credential|api_?key", re.IGNORECASE)
HIDDEN = "(hidden)"
OF_THE_MACHINE = ("runs", "loggers")
SHOWN_PARTS = 2
"""Of a path, so many parts from its end are told."""


def shareable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> number, boolean, text or None, for each of some settings."""
    return {
        name: HIDDEN if SECRET.search(name) else _plain(value)
        for name, value in settings.items()
        if name not in OF_THE_MACHINE
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(cleaned(value))


def cleaned(value: Any) -> Any:
    """A value of settings, nested ones too, without secrets and paths of this machine."""
    if isinstance(value, Mapping):
        return {k: HIDDEN if SECRET.search(str(k)) else cleaned(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner) for inner in value]
    return without_place(value) if isinstance(value, str) else value


def without_place(text: str) -> str:
    """A text without passwords of addresses; of a path, its last parts."""
    if "://" in text:
        return re.sub(r"//[^/\s]*@", "//", text).partition("?")[0]
    path = PureWindowsPath(text)  # it splits at both kinds of slash
    if path.drive or path.root or text.startswith(("~", "..")):
        return "/".join([part for part in path.parts[1:] if part != ".."][-SHOWN_PARTS:])
    return text
