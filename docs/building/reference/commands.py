"""A page for every command: its options, those too that `--help` does not list."""

import argparse
import dataclasses
import importlib
import keyword
from typing import Any

import jsonargparse

from building.reference.settings import DEFAULT, cell, option_table
from pixelwise.cli.main import COMMANDS

INTERNAL = ("help", "config", "print_config")


class Seen(BaseException):
    """Raised in place of parsing, with the parser of a command."""


def command_pages() -> dict[str, str]:
    """Name of the page -> its Markdown; `index` lists them."""
    lines = "\n".join(f"- [{name}]({name}.md): {line}" for name, line in COMMANDS.items())
    entries = "\n".join(COMMANDS)
    index = (
        "# Commands\n\n"
        "`pixelwise COMMAND --help` shows the usual options; the pages here have all of them."
        " Exit codes: 0 done, 1 ran and found something wrong, 2 wrong input, 130 interrupted."
        f"\n\n{lines}\n\n:::{{toctree}}\n:hidden:\n\n{entries}\n:::\n"
    )
    return {"index": index} | {name: command_page(name) for name in COMMANDS}


def command_page(name: str) -> str:
    """The page of a command."""
    parser, hidden = parser_of(name)
    advanced = {
        field.name
        for field in dataclasses.fields(parser.settings or Nothing)
        if field.metadata.get("advanced")
    }
    texts = {
        field.name: field.metadata["help"]
        for field in dataclasses.fields(parser.settings or Nothing)
    }
    usual, rare, places = [], [], []
    for action in parser._actions:
        text = texts.get(action.dest) or action.help
        if action.dest == "help" or text in (None, argparse.SUPPRESS):
            continue
        row = (
            _spelt(action),
            cell(text % {"default": ""} if "%(" in text else text),
            _default(action),
        )
        if not action.option_strings:
            places.append(row)
        elif action.dest in advanced | hidden:
            rare.append(row)
        else:
            usual.append(row)
    parts = [f"# pixelwise {name}", cell(parser.description or COMMANDS[name])]
    for title, rows in (("Arguments", places), ("Options", usual), ("Advanced options", rare)):
        if rows:
            parts.append(f"## {title}\n\n{option_table(rows)}")
    return "\n\n".join(parts) + "\n"


def parser_of(name: str) -> tuple[Any, set[str]]:
    """The parser of a command, and the options that it does not list.

    Nothing of the command runs: its parser is taken when it is about to read the words.
    """
    file = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
    module = importlib.import_module(f"pixelwise.cli.{file}")
    hidden: set[str] = set()
    hide = getattr(module, "hide", None)
    parse = jsonargparse.ArgumentParser.parse_args

    def stop(parser: Any, *words: Any, **options: Any) -> Any:
        raise Seen(parser)

    jsonargparse.ArgumentParser.parse_args = stop
    if hide is not None:
        module.hide = lambda parser, *names: hidden.update(names)
    try:
        module.main(["import"] if name == "data" else [])
    except Seen as seen:
        return seen.args[0], hidden
    finally:
        jsonargparse.ArgumentParser.parse_args = parse
        if hide is not None:
            module.hide = hide
    raise RuntimeError(f"pixelwise {name} parsed nothing")


@dataclasses.dataclass
class Nothing:
    """The settings of a command that has none."""


def _spelt(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    return ", ".join(f"`{string}`" for string in action.option_strings if string.startswith("-"))


def _default(action: argparse.Action) -> str:
    if action.nargs == 0 or action.default is None or action.default in ("", argparse.SUPPRESS):
        return DEFAULT
    return f"`{action.default}`"
