"""Notes on the names that people type: given once, and never for what a file says."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PACKAGE = __name__.partition(".")[0]

_told: set[str] = set()
"""What no more notes are given on in this process."""


class AmbiguousName(UserWarning):
    """A name was taken for what it is here, though most people mean something else by it."""


def _warn(text: str) -> None:
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].split(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, AmbiguousName, stacklevel=level)


_tell: ContextVar[Callable[[str], None]] = ContextVar("tell", default=_warn)


def once(about: str, text: str) -> None:
    """Tell a note, unless there was one on the same thing, or it needs none."""
    if about not in _told:
        _tell.get()(text)
        _told.add(about)  # a warning that is raised as an error is raised again


def needs_none(about: str) -> None:
    """Give no notes on this: it was named without doubt."""
    _told.add(about)


@contextmanager
def told_by(tell: Callable[[str], None]) -> Iterator[None]:
    """Have `tell` tell notes in place of Python's warnings."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


@contextmanager
def settled() -> Iterator[None]:
    """Tell no notes: names are those of a file, or were typed before."""
    with told_by(lambda text: None):
        yield
