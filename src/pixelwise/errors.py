"""What a user did wrong, said in one line: `name=value: rule; remedy`."""

import difflib
from collections.abc import Iterable

FEW = 12
"""So many known names are listed beside the nearest one."""


class InputError(ValueError):
    """Bad input: the message states the value, the rule and the remedy, on one line.

    The command line prints it without a traceback and exits with code 2.
    """


def in_one_line(error: object, most: int) -> str:
    """An error's kind and text in `most` letters, without the lines it is broken into."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:most]


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> InputError:
    """The error for a name that is not among `known`, with the nearest one suggested.

    Args:
        kind: What the name stands for, one word such as "layer".
        name: What was given.
        known: The names that exist.
        where: Whose names they are, such as "of layer 'psa_s'".
    """
    rule = f"unknown {kind} {where}".rstrip()
    return InputError(f"{kind}={name!r}: {rule}; {suggestion(name, known)}")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name nearest to a misspelt one, or all of them where they are few."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names)
    close = close or difflib.get_close_matches(name.lower().replace("-", "_"), names)
    close.sort(key=lambda known: sorted(known) != sorted(name))  # swapped letters come first
    listed = ", ".join(names)
    if not close:
        return f"known: {listed}" if 0 < len(names) <= 40 else "check its spelling"
    hint = f"did you mean {close[0]!r}?"
    return f"{hint} Known: {listed}" if len(names) <= FEW else hint
