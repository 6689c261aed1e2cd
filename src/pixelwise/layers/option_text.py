"""Options of layers as text, `variant=paper, sizes=(1, 2)`, and back."""

import ast
import re
import warnings
from collections.abc import Mapping
from math import isfinite
from typing import Any

from pixelwise.errors import InputError

_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"]""", re.DOTALL)
_WORD = re.compile(r"[^\W\d][\w.-]*")
_CONSTANTS: Mapping[str, bool | None] = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
}  # fmt: skip


def split(text: str, mark: str) -> list[str]:
    """The pieces between marks that stand outside of quotes and brackets.

    Raises:
        InputError: A quote or bracket has no partner.
    """
    pieces, depth, end = [""], 0, 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if token.start() != end or depth < 0:
            break
        end = token.end()
        if token[0] == mark and not depth:
            pieces.append("")
        else:
            pieces[-1] += token[0]
    if depth or end != len(text):
        raise InputError("a quote or bracket has no partner; close it, or leave it out")
    return pieces


def read_options(text: str) -> dict[str, Any]:
    """The options that `write_options` wrote, or a user.

    Raises:
        InputError: The text says no options.
    """
    found: dict[str, Any] = {}
    for part in split(text, ",") if text.strip() else []:
        name, *value = split(part, "=")
        if len(value) != 1 or not name.strip().isidentifier() or name.strip() in found:
            raise InputError(f"{part.strip()!r} is no option; write each once, as (reduction=8)")
        found[name.strip()] = _value(value[0].strip())
    return found


def _value(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return text if _WORD.fullmatch(text) else read_literal(text)


def read_literal(text: str) -> Any:
    """A number, a quoted text, or a list of them, as a tuple.

    Raises:
        InputError: The text is none of these.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes and numbers
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(
            f"{text!r} is no value; give a word, a number, true, false, null, a text in quotes, or"
            " a list of these, such as (8, 'max')"
        ) from error


def _plain(value: object) -> Any:
    """A value with its lists as tuples; ValueError where it is of no type that options have."""
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise ValueError(value)


def write_options(options: Mapping[str, Any]) -> str:
    """Options as the text that `read_options` reads.

    Raises:
        InputError: A value that has no text.
    """
    return ", ".join(f"{name}={_written(name, value)}" for name, value in options.items())


def _written(name: str, value: object) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value) and value not in _CONSTANTS:
        return value
    try:
        return repr(_plain(value))
    except ValueError as error:
        raise InputError(
            f"{name}={value!r}: has no text; give a number, a text, or a list of them"
        ) from error
