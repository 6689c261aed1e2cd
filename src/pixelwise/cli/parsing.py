"""Flags and YAML from a command's settings dataclass: one schema for all."""

import argparse
import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar, get_type_hints

from jsonargparse import SUPPRESS, ActionYesNo, ArgumentParser, DefaultHelpFormatter, Namespace

from pixelwise.errors import InputError

Settings = TypeVar("Settings")


class HelpLines(DefaultHelpFormatter):
    """What an option does, and its default where there is one to speak of; no types."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        speaks = isinstance(default, int | float | str) and not isinstance(default, bool)
        if not speaks or default in ("", SUPPRESS) or "default" in text:
            return text
        return f"{text} (default: %(default)s)"


class CommandParser(ArgumentParser):
    """A parser whose errors are one line that names the nearest option."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise instead of printing the usage."""
        raise InputError(f"{self._short(message)}; see {self.prog} --help") from ex

    def _short(self, message: str) -> str:
        text = " ".join(message.split())
        wrong = re.search(r'Parser key "(\w+)": .*(?:Given|Got) value: (.*)', text)
        if wrong is not None:
            expected = " or ".join(dict.fromkeys(re.findall(r"Expected a <class '(\w+)'>", text)))
            kinds = {"int": "a whole number", "float": "a number", "str": "text"}
            wanted = " or ".join(kinds[k] for k in expected.split(" or ") if k in kinds)
            return f"{wrong[1]}={wrong[2]}: must be {wanted or expected}"
        unknown = re.search(r"[Uu]nrecognized arguments: (\S+)", text)
        if unknown is None:
            return re.sub(r'^Parser key "(\w+)"', r"\1", text).removesuffix(".")
        word = unknown[1].partition("=")[0]
        known = [s for action in self._actions for s in action.option_strings]
        close = difflib.get_close_matches(word, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{word}: unknown option{hint}"


def command_parser(name: str, text: str) -> CommandParser:
    """The empty parser of `pixelwise NAME`."""
    return CommandParser(
        prog=f"pixelwise {name}",
        description=text,
        allow_abbrev=False,
        formatter_class=HelpLines,
    )


def add_settings(parser: CommandParser, settings: type, *, yaml: bool = True) -> None:
    """One flag per field; advanced fields are understood but not listed."""
    if yaml:
        parser.add_argument(
            "--config",
            action="config",
            help="YAML file of settings, advanced ones too, such as a run's config.yaml",
        )
        (shown,) = (a for a in parser._actions if "--print_config" in a.option_strings)
        shown.help, shown.metavar = "print all settings as YAML, advanced ones too, and exit", ""
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        flag = "--" + field.name.replace("_", "-")
        text = SUPPRESS if field.metadata["advanced"] else field.metadata["help"]
        if hints[field.name] is bool:
            parser.add_argument(
                flag, action=ActionYesNo(no_prefix="no-"), default=field.default, help=text
            )
        else:
            parser.add_argument(flag, type=hints[field.name], default=field.default, help=text)


def parse(parser: CommandParser, arguments: Sequence[str]) -> Namespace:
    """Parse, or raise InputError."""
    return parser.parse_args(list(arguments))


def take(found: Namespace, settings: type[Settings]) -> Settings:
    """The settings dataclass from what was parsed."""
    names = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    return settings(**{name: getattr(found, name) for name in names})


def changed(found: Namespace, settings: Any) -> list[str]:
    """Names of the settings that differ from their defaults."""
    return [f.name for f in dataclasses.fields(settings) if getattr(found, f.name) != f.default]
