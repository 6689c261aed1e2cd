"""What kind of value an option takes: whether one fits its annotation, and the kinds in words."""

import functools
import inspect
import math
import types
from abc import ABCMeta
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from pixelwise.errors import InputError

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Mapping: "a mapping",
    Sequence: "a list of whole numbers",
    type(None): "null",
}
LARGEST = 2**40
"""No whole number in a description is beyond it."""
LONGEST = 60
"""Letters of a value that a message shows."""
_PLAIN = (bool, int, float, str, type(None))


class KindsChecked(ABCMeta):
    """Classes whose constructor takes only values of the kinds that it is annotated with.

    Numbers of numpy become Python's, its arrays and lists become tuples, and whole numbers stand
    for others. A value of another kind is told before anything is built. What is annotated with
    other types than numbers, words and sequences of them is handed on as it is.
    """

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, for who asks for the options."""
        _, *options = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        return inspect.Signature(options)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        """Build an object.

        Raises:
            InputError: A value is of another kind than the constructor says.
        """
        known = _annotated(cls)
        parameters = inspect.signature(cls).parameters.values()
        names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        names += [""] * len(args)  # too many: Python says so
        given = [_of_its_kind(name, value, known) for name, value in zip(names, args, strict=False)]
        named = {name: _of_its_kind(name, value, known) for name, value in options.items()}
        return super().__call__(*given, **named)


@functools.cache
def _annotated(cls: type) -> Mapping[str, tuple[Any, Any]]:
    """Name -> annotation and default, of the options that take plain values."""
    try:
        hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # a plugin's annotations that only its type checker reads
        return {}
    named = inspect.signature(cls).parameters.values()
    return {p.name: (hints[p.name], p.default) for p in named if _is_plain(hints.get(p.name, Any))}


def _is_plain(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType, tuple, Sequence):
        return all(inner is Ellipsis or _is_plain(inner) for inner in get_args(hint))
    return hint in _PLAIN


def _of_its_kind(name: str, value: Any, known: Mapping[str, tuple[Any, Any]]) -> Any:
    """A value as its annotation has it.

    Raises:
        InputError: It is of another kind.
    """
    if name not in known:
        return value
    hint, default = known[name]
    found = plain(value)
    if fits_type(found, hint):
        whole = type(found) is int and not fits_type(1, _without(hint, float))
        return float(found) if whole else found
    remedy = "give one"
    if default is not inspect.Parameter.empty:
        remedy += f", such as {default!r}" if default or default == 0 else ", or leave it out"
    rule = described(_without(hint, type(None)))
    raise InputError(f"{name}={shown(value)}: must be {rule}; {remedy}")


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's, lists as tuples; inside of mappings too."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def _without(hint: Any, kind: type) -> Any:
    """A union without one of its kinds, or what is no union."""
    if get_origin(hint) not in (Union, types.UnionType):
        return type(None) if hint is kind else hint
    return Union[tuple(one for one in get_args(hint) if one is not kind)]  # noqa: UP007


def fits_type(value: Any, hint: Any) -> bool:
    """Whether a value of JSON, with tuples for its lists, is of an annotated type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return not isinstance(value, float) or math.isfinite(value)
    if origin in (Union, types.UnionType):
        return any(fits_type(value, one) for one in inner)
    if hint in (None, type(None)):
        return value is None
    if origin in (tuple, Sequence):
        if not isinstance(value, tuple):
            return False
        if origin is Sequence or inner[-1] is Ellipsis:
            return all(fits_type(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(fits_type, value, inner))
    if origin is not None:
        return isinstance(value, Mapping) and all(fits_type(v, Any) for v in value.values())
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) < 1e300 and math.isfinite(value)
    if hint is int and isinstance(value, int) and abs(value) > LARGEST:
        return False
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def described(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        apart = [one for one in inner if one is not int or float not in inner]
        return " or ".join(map(described, apart))
    if hint in (None, type(None)):
        return "null"
    if origin in (tuple, Sequence):
        each = described(inner[0])
        each = "entries" if each == "a list" else each.removeprefix("a ") + "s"
        if origin is tuple and inner[-1] is not Ellipsis:
            each = f"{len(inner)} {each}"
        return f"a list of {each}"
    return KINDS.get(hint, "a mapping")


def shown(value: object) -> str:
    """A value for a message, on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
