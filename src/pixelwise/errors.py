"""What a user did wrong, said in one line."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: the message states the value, the rule and the remedy, on one line.

    The command line prints it without a traceback and exits with code 2.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among `known`, with the nearest one suggested."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names)
    close.sort(key=lambda known: sorted(known) != sorted(name))  # swapped letters come first
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" Known: {', '.join(names)}." if len(names) <= 40 else ""
    return InputError(f"unknown {kind} {name!r}.{hint}{listed}")
