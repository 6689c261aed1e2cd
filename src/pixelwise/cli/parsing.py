"""Flags and YAML from a command's settings dataclass: one schema for all."""

import argparse
import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar, get_type_hints

from jsonargparse import SUPPRESS, ActionYesNo, ArgumentParser, DefaultHelpFormatter, Namespace

from pixelwise.cli.wrapping import wrapped
from pixelwise.errors import InputError
from pixelwise.kinds import shown
from pixelwise.language import cells, current, translate
from pixelwise.settings import FALSE, TRUE, as_plain, checked
from pixelwise.yaml_files import read, to_text

PRINT = "--print_config"
LENGTHS = ("epochs", "steps", "time_limit")
"""Settings that exclude each other: who gives one takes the place of those of a file."""
Settings = TypeVar("Settings")
AS_IS = "take pictures whose values are unlike those of the training pictures too"


class HelpLines(DefaultHelpFormatter):
    """What an option does, and its default where there is one to speak of; no types."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = translate(action.help or "")
        default = action.default
        speaks = isinstance(default, int | float | str) and not isinstance(default, bool)
        if not speaks or default in ("", SUPPRESS) or "default" in (action.help or ""):
            return text
        return translate("{text} (default: %(default)s)").format(text=text)

    def start_section(self, heading: str | None) -> None:
        """A heading of argparse's own."""
        super().start_section(heading and translate(heading))

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """The line of all options."""
        super().add_usage(usage, actions, groups, prefix or translate("usage: "))

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None,
    ) -> str:
        said = prefix or ""
        room = " " * cells(said)  # argparse counts letters
        return said + super()._format_usage(usage, actions, groups, room)[len(room) :]

    def format_help(self) -> str:
        """All of it, with the colons of the language behind headings."""
        text = super().format_help()
        return (
            text if current() == "en" else re.sub(r"(?m)^(\S+):$", "\\1\N{FULLWIDTH COLON}", text)
        )

    def _split_lines(self, text: str, width: int) -> list[str]:
        return super()._split_lines(text, width) if current() == "en" else wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if current() == "en":
            return super()._fill_text(text, width, indent)
        return "\n".join(indent + line for line in wrapped(text, width))


LIST = "a list of whole numbers such as '[1, 2, 4]'"
MAPPING = "a mapping such as '{name: value}'"


class CommandParser(ArgumentParser):
    """A parser whose errors are one line that names the nearest option.

    `settings` is the dataclass of whose fields there are flags, if any.
    """

    settings: type | None = None

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
            if expected == "NoneType":  # the message names no mapping or list
                listed = (
                    get_type_hints(self.settings or object).get(wrong[1]) == Sequence[int] | None
                )
                wanted = LIST if listed else MAPPING
            return f"{wrong[1]}={shown(wrong[2])[1:-1]}: must be {wanted or expected}"
        unknown = re.search(r"[Uu]nrecognized arguments: (\S+)", text)
        if unknown is None:
            short = re.sub(r'^Parser key "(\w+)"', r"\1", text).removesuffix(".")
            return re.sub("^argument (--[^ /:]+)[^ :]*", r"\1", short)
        word = unknown[1].partition("=")[0]
        known = [s for action in self._actions for s in action.option_strings]
        close = difflib.get_close_matches(word, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{word}: unknown option{hint}"


def command_parser(name: str, text: str) -> CommandParser:
    """The empty parser of `pixelwise NAME`."""
    return CommandParser(
        prog=f"pixelwise {name}",
        description=translate(text),
        allow_abbrev=False,
        formatter_class=HelpLines,
    )


def hide(parser: CommandParser, *names: str) -> None:
    """Understand these options, but do not list them: pages of the documentation do."""
    for action in parser._actions:
        if action.dest in names:
            action.help = SUPPRESS


def add_settings(parser: CommandParser, settings: type, *, yaml: bool = True) -> None:
    """One flag per field; advanced fields are understood but not listed."""
    parser.settings = settings
    if yaml:
        parser.add_argument(
            "--config",
            type=str | None,
            help="YAML file of settings, advanced ones too, such as a run's config.yaml",
        )
        parser.add_argument(
            PRINT,
            action="store_true",
            help="print all settings as YAML, advanced ones too, and exit",
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


def parse(parser: CommandParser, arguments: Sequence[str], preset: str | None = None) -> Namespace:
    """Parse, or raise InputError.

    What is typed takes the place of what `--config` names, and that of the preset's file.
    """
    words = [*_booleans(parser, arguments)]
    shows = PRINT in words and "--config" in parser._option_string_actions
    if shows:  # jsonargparse has a meaning of its own for it
        words = [word for word in words if word != PRINT]
    found = _parsed(parser, words)
    if shows:
        found.print_config = True
    files = [file for file in (preset, getattr(found, "config", None)) if file is not None]
    if not files:
        return found
    assert parser.settings is not None
    given: dict[str, Any] = {}
    for file in files:
        _take_place(given, checked(parser.settings, read(file), file))
    names = {field.name for field in dataclasses.fields(parser.settings)}
    typed = vars(_parsed(parser, words, defaults=False))
    _take_place(given, {name: value for name, value in typed.items() if name in names})
    for name, value in given.items():
        setattr(found, name, value)
    return found


def _parsed(parser: CommandParser, words: list[str], *, defaults: bool = True) -> Namespace:
    try:
        return parser.parse_args(words, defaults=defaults)
    except OverflowError as error:  # of a whole number that no float can hold
        longest = max(words, key=len)
        raise InputError(f"{longest[:40]}...: is too large a number; give a smaller one") from error


def _take_place(given: dict[str, Any], stronger: dict[str, Any]) -> None:
    if any(stronger.get(name) is not None for name in LENGTHS):
        for name in LENGTHS:
            given.pop(name, None)
    given.update(stronger)


def _booleans(parser: CommandParser, arguments: Sequence[str]) -> Iterator[str]:
    """The words, `--rotate true` and `--rotate=false` written as `--rotate` and `--no-rotate`."""
    flags, alone = set(), set()
    for action in parser._actions:
        if isinstance(action, ActionYesNo):
            flags |= {*action.option_strings}
        elif action.nargs == 0 and action.default is False:
            alone |= {*action.option_strings}
    words = list(arguments)
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if equals and flag in alone and value.lower() in (*TRUE, *FALSE):
            yield from [flag] * (value.lower() in TRUE)
            continue
        if flag not in flags or flag.startswith("--no-"):
            yield flag + equals + value
            continue
        if not equals and words and words[0].lower() in (*TRUE, *FALSE):
            value = words.pop(0)
        if equals and value.lower() not in (*TRUE, *FALSE):
            name = flag.removeprefix("--")
            raise InputError(f"{name}={value!r}: must be true or false; or write {flag} alone")
        yield flag.replace("--", "--no-", 1) if value.lower() in FALSE else flag


def take(found: Namespace, settings: type[Settings]) -> Settings:
    """The settings dataclass from what was parsed; `--print_config` prints it and ends here."""
    names = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    taken = settings(**{name: getattr(found, name) for name in names})
    if getattr(found, "print_config", False):
        print(to_text(as_plain(taken)), end="")
        raise SystemExit(0)
    return taken


def changed(found: Namespace, settings: Any) -> list[str]:
    """Names of the settings that differ from their defaults."""
    return [f.name for f in dataclasses.fields(settings) if getattr(found, f.name) != f.default]
