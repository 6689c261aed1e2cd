"""Settings of commands: one schema for the Python call, the flags and the YAML."""

import dataclasses
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from pixelwise.errors import InputError, unknown
from pixelwise.kinds import KINDS, shown

TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
"""Words for a boolean, as YAML has them."""
LARGEST = 2**63


def setting(default: Any, text: str, *, advanced: bool = False) -> Any:
    """A dataclass field with its help text; advanced ones stand in the YAML, not in `--help`."""
    return field(default=default, metadata={"help": text, "advanced": advanced})


def as_plain(settings: Any) -> dict[str, Any]:
    """The settings as YAML can hold them."""
    return dataclasses.asdict(settings)


def checked(settings: type, values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """What a YAML file says of some of the settings, each as its field's type.

    Args:
        settings: The dataclass.
        values: Name -> value, as `yaml_files.read` gives them.
        where: The file, for messages.

    Raises:
        InputError: A name that is no setting, or a value of another kind.
    """
    hints = get_type_hints(settings)
    names = [field.name for field in dataclasses.fields(settings)]
    found = {}
    for name, value in values.items():
        if name not in names:
            wrong = unknown("setting", str(name), names)
            raise InputError(f"{where}: {wrong}")
        try:
            found[name] = typed(value, hints[name])
        except ValueError:
            wanted = " or ".join(KINDS[kind] for kind in _kinds(hints[name]))
            raise InputError(
                f"{where}: {name}={shown(value)}: must be {wanted}; correct it, or leave it out"
            ) from None
        if (
            isinstance(value, dict)
            and _by_name(hints[name])
            and not all(isinstance(key, str) for key in value)
        ):
            raise InputError(
                f"{where}: {name}={shown(value)}: must have names as keys; write {{name: value}}"
            )
    return found


def typed(value: Any, hint: Any) -> Any:
    """A value as the first of the hint's types that it can be meant as; else ValueError."""
    for kind in _kinds(hint):
        try:
            return _as(kind, value)
        except ValueError:
            continue
    raise ValueError(value)


def _by_name(hint: Any) -> bool:
    """Whether a hint allows mappings whose keys are text, and no others."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return any(get_origin(part) is Mapping and get_args(part)[0] is str for part in parts)


def _kinds(hint: Any) -> list[Any]:
    """The plain types that a hint allows; null comes first, text last."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = [get_origin(part) or part for part in parts]
    return sorted(kinds, key=lambda kind: (kind is str) - (kind is type(None)))


def _as(kind: Any, value: Any) -> Any:
    word = value.strip() if isinstance(value, str) else ""
    match value:
        case None if kind is type(None):
            return None
        case bool() if kind is bool:
            return value
        case int() if kind in (int, float, str) and type(value) is int and abs(value) < LARGEST:
            return kind(value)
        case float() if kind is float:
            return value
        case str() if kind is str:
            return value
        case str() if kind is bool and word.lower() in (*TRUE, *FALSE):
            return word.lower() in TRUE
        case str() if kind is int and re.fullmatch(r"[-+]?\d{1,18}(_\d{1,18})*", word, re.ASCII):
            return int(word)
        case str() if kind is float and re.fullmatch(r"[-+\d._eE]+", word, re.ASCII):
            return float(word)
        case dict() if kind is Mapping:
            return value
        case list() if kind is Sequence and all(type(inner) is int for inner in value):
            return value
    raise ValueError(value)


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
