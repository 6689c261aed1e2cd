"""The language of what people read: English, or Chinese from a gettext catalogue whose keys it is.

Help, printed lines and pages are translated. Error messages, names of files, options and keys, and
what programs read stay as they are.
"""

import functools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Literal
from unicodedata import east_asian_width

Language = Literal["en", "zh"]
VARIABLE = "PIXELWISE_LANG"
SYSTEM = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Variables of the system's language; the first that is set counts, as gettext has it."""
PAIR = "{first}{second}"
TAGS = {"en": "en", "zh": "zh-Hans"}
"""What HTML calls a language."""

_chosen: ContextVar[Language | None] = ContextVar("chosen", default=None)


def current() -> Language:
    """The language chosen: by `speaking`, else by PIXELWISE_LANG, else by the system."""
    spoken = _chosen.get()
    if spoken is not None:
        return spoken
    asked = os.environ.get(VARIABLE, "").strip()
    return (_known(asked) or "en") if asked else _of_system()


def tag() -> str:
    """The chosen language as HTML names it."""
    return TAGS[current()]


def problem() -> str:
    """What is wrong with PIXELWISE_LANG; empty: nothing."""
    asked = os.environ.get(VARIABLE, "").strip()
    if not asked or _known(asked):
        return ""
    return f"{VARIABLE}={asked[:40]!r}: unknown language, English is used; write en or zh"


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Have this language spoken, whatever the variables say."""
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def translate(text: str) -> str:
    """A text, or a template for `str.format`, in the chosen language."""
    return _catalogue(current()).gettext(text) if text else text


def plural(one: str, many: str, number: int) -> str:
    """The form of a text, or a template, for a number of things."""
    return _catalogue(current()).ngettext(one, many, number)


def mark(text: str) -> str:
    """A text of the catalogue that is translated where it is shown, not where it stands."""
    return text


class Message(str):
    """A text that is English as a `str`, so in files for programs; `spoken` translates it."""

    template: str
    values: dict[str, object]

    def __add__(self, other: str) -> "Message":
        return message(PAIR, first=self, second=other) if other else self

    def __radd__(self, other: str) -> "Message":
        return message(PAIR, first=other, second=self) if other else self


def message(template: str, **values: object) -> Message:
    """A template and what stands in it; the values may be messages."""
    return said(template.format(**values), template, **values)


def said(english: str, template: str, **values: object) -> Message:
    """A message whose English is not the template's, as where a verb goes with a number."""
    made = Message(english)
    made.template, made.values = template, values
    return made


def as_message(text: str) -> Message:
    """A text of the catalogue without anything to stand in it."""
    return said(text, text)


def joined(separator: str, parts: Iterable[str]) -> str:
    """Texts one after the other, which stay messages."""
    first, *others = [*parts] or [""]
    return functools.reduce(lambda before, text: before + (separator + text), others, first)


def spoken(text: str) -> str:
    """A message in the chosen language; other text as it is."""
    if not isinstance(text, Message) or current() == "en":
        return str(text)
    values = {k: spoken(v) if isinstance(v, str) else v for k, v in text.values.items()}
    return translate(text.template).format(**values)


def cells(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def left(text: str, width: int) -> str:
    """A text at the left of so many columns."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """A text at the right of so many columns."""
    return " " * (width - cells(text)) + text


def _known(name: str) -> Language | None:
    """The language that a tag such as "zh_CN.UTF-8" or "zh-Hans" names; None: none of ours."""
    head = name.replace("-", "_").partition("_")[0].partition(".")[0].lower()
    if head in ("zh", "chinese"):
        return "zh"
    return "en" if head in ("en", "english", "c", "posix") else None


def _of_system() -> Language:
    asked = next(filter(None, map(os.environ.get, SYSTEM)), "") or _of_windows()
    return next(filter(None, map(_known, asked.split(":"))), "en")


@functools.cache
def _of_windows() -> str:
    if sys.platform != "win32":
        return ""
    import ctypes
    import locale

    number = ctypes.windll.kernel32.GetUserDefaultUILanguage()
    return locale.windows_locale.get(number, "")


@functools.cache
def _catalogue(language: Language) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    place = files("pixelwise").joinpath("locale", language, "LC_MESSAGES", "pixelwise.mo")
    with place.open("rb") as file:
        return GNUTranslations(file)
