"""The card of a layer or a network, from its own docstrings and signature."""

import inspect
from collections.abc import Sequence
from typing import Any

from pixelwise.language import translate


def options_of(cls: type) -> list[str]:
    """The keyword options with their defaults, and what the docstring says of each."""
    texts: dict[str, str] = {}
    for parent in reversed(cls.__mro__):  # a frame documents the options that its heads share
        texts |= _arguments(inspect.cleandoc(parent.__doc__ or ""))
    lines = []
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            shown = f"{parameter.name}={parameter.default!r}"
            lines.append(f"{shown}  {texts.get(parameter.name, '')}".rstrip())
    return lines


def print_entry(key: str, *, title: str, year: int | None, line: str) -> None:
    """Two lines of a list: what it is called, and what it does."""
    print(f"{key:20} {title}{'' if year is None else f', {year}'}\n    {line}")


def print_card(*, title: str, about: str, options: Sequence[str], cost: str, usage: str) -> None:
    """Title, the module's formula and paper, options, cost, and what to type."""
    print(f"{title}\n\n{about}\n\n{translate('Options')}")
    for line in options or [translate("none")]:
        print(f"    {line}")
    print(f"\n{translate('Cost')}\n    {cost}\n\n{translate('Use')}\n    {usage}")


def _arguments(doc: str) -> dict[str, str]:
    """Name -> text of a docstring's `Args:` section."""
    found: dict[str, Any] = {}
    inside, name = False, ""
    for line in doc.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.startswith("Args:"):
            inside = True
        elif inside and line and indent == 0:
            break
        elif inside and indent == 4 and ":" in line:
            name, _, text = line.strip().partition(":")
            name = name.split(" ")[0]
            found[name] = text.strip()
        elif inside and name and line.strip():
            found[name] += " " + line.strip()
    return found
