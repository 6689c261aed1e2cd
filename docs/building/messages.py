"""The catalogue of the package's texts: `python docs/building/messages.py` brings it up to date.

Found are the first arguments of `translate`, `plural`, `message` and the like, the options and
texts of every command, and the lines of the lists of layers and networks. Translations of texts
that are gone are dropped; texts without a translation are printed.
"""

import ast
import importlib
import inspect
import io
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from unittest import mock

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pixelwise"
FILE = PACKAGE / "locale" / "zh" / "LC_MESSAGES" / "pixelwise.po"
ONE = {"translate", "message", "mark", "busy"}
"""Functions whose first argument is a text."""
TWO = {"plural"}
"""Functions whose first two are the forms for one and for many."""
HEADER = "The texts of pixelwise in Chinese. Made by docs/building/messages.py."


class Texts(Catalog):
    """A catalogue whose header says neither when nor by what it was made, so stays the same."""

    mime_headers = (
        ("Language", "zh"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
        ("Plural-Forms", "nplurals=1; plural=0;"),
    )


class _Reached(Exception):
    """A command has come to where it parses."""


def texts() -> dict[str | tuple[str, str], set[str]]:
    """Every text, or its two forms, and the files that it is from."""
    found: dict[str | tuple[str, str], set[str]] = {}
    for text, place in [*_of_source(), *_of_commands(), *_of_lists()]:
        if text and text != SUPPRESS:
            found.setdefault(text, set()).add(place)
    return found


def _of_source() -> Iterator[tuple[str | tuple[str, str], str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            said = [n.value for n in node.args if isinstance(n, ast.Constant)]
            if name in ONE and said[:1] and isinstance(said[0], str):
                yield said[0], place
            elif name in TWO and len(said) >= 2:
                yield (said[0], said[1]), place


def _of_commands() -> Iterator[tuple[str, str]]:
    from pixelwise.cli import main
    from pixelwise.cli.data import HELP, VERBS

    yield main.HELP, "src/pixelwise/cli/main.py"
    yield HELP, "src/pixelwise/cli/data.py"
    for line in (*main.COMMANDS.values(), *VERBS.values()):
        yield line, "src/pixelwise/cli/main.py"
    for name in main.COMMANDS:
        calls = [["data", verb] for verb in VERBS] if name == "data" else [[name]]
        for words in calls:
            place = main.module_of(name).replace(".", "/")
            yield from _of_parser(parser_of(words), f"src/{place}.py")


def parser_of(words: list[str]) -> ArgumentParser:
    """The parser of a command."""
    from pixelwise.cli.main import module_of

    reached = []

    def stop(parser: ArgumentParser, *_: object, **__: object) -> None:
        reached.append(parser)
        raise _Reached

    module = importlib.import_module(module_of(words[0]))
    with mock.patch("pixelwise.cli.parsing.CommandParser.parse_args", stop):
        try:
            module.main([*words[1:]])
        except _Reached:
            return reached[0]
    raise AssertionError(f"{words}: parses nothing")


def _of_parser(parser: ArgumentParser, place: str) -> Iterator[tuple[str, str]]:
    from pixelwise.cli.parsing import CommandParser

    yield parser.description or "", place
    yield "usage: ", place
    for group in parser._action_groups:
        yield group.title or "", place
    for action in parser._actions:
        yield action.help or "", place
    if isinstance(parser, CommandParser) and parser.settings is not None:
        for field in fields(parser.settings):
            yield field.metadata["help"], place


def _of_lists() -> Iterator[tuple[str, str]]:
    from pixelwise.layers.registry import available as layers
    from pixelwise.layers.upsampling.registry import available as upsamplers
    from pixelwise.networks.registry import available as networks
    from pixelwise.networks.zoo import ZOO
    from pixelwise.tasks.demonstration import SPOKEN
    from pixelwise.tasks.registry import OWN, task_class

    for layer in (*layers().values(), *upsamplers().values()):
        yield (inspect.getdoc(layer) or "").splitlines()[0], "src/pixelwise/layers"
    for network in (*networks().values(), *ZOO.values()):
        yield network.summary, "src/pixelwise/networks"
    for task in map(task_class, OWN):
        if task.demonstration is not None:
            for name in SPOKEN:
                yield getattr(task.demonstration, name), "src/pixelwise/tasks"


def catalogue() -> Catalog:
    """The catalogue with every text, and the translations that there are."""
    made = Texts(locale="zh", header_comment=f"# {HEADER}", fuzzy=False)
    old = read_po(io.BytesIO(FILE.read_bytes()), locale="zh") if FILE.exists() else Catalog("zh")
    for text, places in sorted(texts().items(), key=lambda item: (sorted(item[1]), str(item[0]))):
        known = old.get(text if isinstance(text, str) else text[0])
        said = known.string if known is not None else ""
        made.add(text, said, [(place, None) for place in sorted(places)])
    return made


def written(made: Catalog) -> tuple[bytes, bytes]:
    """The catalogue as a .po file, and compiled, the same bytes each time."""
    text, compiled = io.BytesIO(), io.BytesIO()
    write_po(text, made, width=100, include_lineno=False)
    write_mo(compiled, made)
    return text.getvalue(), compiled.getvalue()


def main() -> int:
    """Write both files; returns 1 where a text has no translation."""
    made = catalogue()
    text, compiled = written(made)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(text)
    FILE.with_suffix(".mo").write_bytes(compiled)
    missing = [entry.id for entry in made if entry.id and not "".join(entry.string)]
    print(f"{len(made)} texts, {len(missing)} without a translation", *missing, sep="\n")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
