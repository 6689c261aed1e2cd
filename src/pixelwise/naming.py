"""Find a thing by any of the names that articles, papers and code give it.

Case, spaces, `-` and `_` do not matter. An exact key always wins; a name that several things have
is refused with all of them; one of a thing that is not here says so, and what is nearest in kind.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pixelwise.errors import InputError

CLOSE = 0.75
"""How alike a misspelt name and a known one must be for a hint; below, hints mislead."""


class Known(NamedTuple):
    """What a key stands for, and the other names that it has."""

    title: str
    year: int | None
    names: Sequence[str]


class Elsewhere(NamedTuple):
    """A mechanism that people ask for and that is not here."""

    title: str
    names: Sequence[str]
    near: Sequence[str]
    """Keys of what is nearest to it in kind."""


def folded(name: str) -> str:
    """A name without what spellings differ in."""
    return re.sub(r"[\W_]", "", name.replace("+", "plus")).casefold()


def matches(name: str, known: Mapping[str, Known]) -> list[str]:
    """The keys that have this name: one alone where it is a key."""
    if name in known:
        return [name]
    wanted = folded(name)
    return [
        key
        for key, one in known.items()
        if wanted in map(folded, (key, one.title, *one.names)) and wanted
    ]


def resolve(
    kind: str, name: str, known: Mapping[str, Known], elsewhere: Sequence[Elsewhere] = ()
) -> str:
    """The key of the one thing that is meant.

    Args:
        kind: What it is, one word such as "layer".
        name: As it was typed.
        known: All there are, by key.
        elsewhere: What is not here, but known by name.

    Raises:
        InputError: There is none of this name, or several.
    """
    found = matches(name, known)
    if name in found:
        return name
    wanted = folded(name)
    others = [one for one in elsewhere if wanted in map(folded, (one.title, *one.names))]
    if len(found) == 1 and not others:
        return found[0]
    if found:
        listed = [f"{key!r} ({told(known[key])})" for key in found]
        listed += [f"{one.title}, which is not here" for one in others]
        raise InputError(
            f"{kind}={name!r}: stands for several: {', '.join(listed)}; write {found[0]!r}"
            + "".join(f" or {key!r}" for key in found[1:])
        )
    if others:
        titles = " or ".join(one.title for one in others)
        near = ", ".join(repr(key) for key in dict.fromkeys(k for one in others for k in one.near))
        raise InputError(f"{kind}={name!r}: {titles} is not in pixelwise; nearest in kind: {near}")
    raise _misspelt(kind, name, known)


def told(one: Known) -> str:
    """Title and year in a line."""
    return one.title if one.year is None else f"{one.title}, {one.year}"


def _misspelt(kind: str, name: str, known: Mapping[str, Known]) -> InputError:
    spelt = {folded(n): key for key, one in known.items() for n in (*one.names, one.title)}
    spelt |= {folded(key): key for key in known}
    wanted = folded(name)
    close = difflib.get_close_matches(wanted, spelt, cutoff=CLOSE)
    close = [other for other in spelt if sorted(other) == sorted(wanted)] + close  # swapped first
    hint = f"did you mean {spelt[close[0]]!r}?" if close else f"known: {', '.join(known)}"
    return InputError(f"{kind}={name!r}: unknown {kind}; {hint}")
