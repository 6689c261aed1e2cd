"""Flags and YAML from a command's settings dataclass: one schema for all."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar, get_type_hints

from jsonargparse import SUPPRESS, ActionYesNo, ArgumentParser, Namespace

from pixelwise.errors import InputError

Settings = TypeVar("Settings")


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
    parser = CommandParser(prog=f"pixelwise {name}", description=text, allow_abbrev=False)
    return parser


def add_settings(parser: CommandParser, settings: type, *, yaml: bool = True) -> None:
    """One flag per field; advanced fields are understood but not listed."""
    if yaml:
        parser.add_argument(
            "--config",
            action="config",
            help="YAML with any of these settings, and the advanced ones; a run's config.yaml",
        )
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
