"""Settings of commands as tables, from the fields of their dataclasses."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import get_type_hints

from building.escaping import escaped
from pixelwise.compare.asked import CompareSettings
from pixelwise.probe.asked import ProbeSettings
from pixelwise.train.settings import TrainSettings

SHOWN = (("train", TrainSettings), ("compare", CompareSettings), ("probe", ProbeSettings))
DEFAULT = ""
"""What stands where a text says the default, or where there is none."""
START = """# Settings

Each setting is a flag (`batch_size` is `--batch-size`), a key of the YAML that `--config` reads,
and a field of the settings in Python. Settings that `--help` does not list are marked *advanced*.
`pixelwise train --print_config` prints all of them as YAML."""


def settings_page() -> str:
    """All settings of the commands that have YAML."""
    parts = [START]
    for name, settings in SHOWN:
        parts.append(f"## pixelwise {name}\n\n{settings_table(settings)}")
    return "\n\n".join(parts) + "\n"


def settings_table(settings: type) -> str:
    """The fields of a dataclass made with `pixelwise.settings.setting`."""
    hints = get_type_hints(settings)
    rows = []
    for field in dataclasses.fields(settings):
        text = field.metadata["help"]
        mark = " *(advanced)*" if field.metadata["advanced"] else ""
        rows.append(
            (f"`{field.name}`{mark}", cell(text), f"`{_kind(hints[field.name])}`", _shown(field))
        )
    return table(("setting", "meaning", "kind", "default"), rows)


def option_table(rows: Iterable[Sequence[str]]) -> str:
    """Options with their meaning and default."""
    return table(("option", "meaning", "default"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def cell(text: str) -> str:
    """A help text in which Markdown sees no markup; options and quoted words are code."""
    text = " ".join(text.split())
    marked = re.sub(r"(--[a-z][a-z-]*\w|\b[\w./]+\.yaml\b)", r"`\1`", text)
    return escaped(re.sub(r"'([^' ]+(?: [^' ]+){0,3})'", r"`\1`", marked), cell=True)


def _kind(hint: object) -> str:
    shown = hint.__name__ if isinstance(hint, type) else str(hint)
    for long, short in (
        ("collections.abc.", ""),
        ("typing.", ""),
        ("[Any, Any]", ""),
        ("[str, Any]", ""),
    ):
        shown = shown.replace(long, short)
    return shown.replace(" | ", " or ")


def _shown(field: "dataclasses.Field[object]") -> str:
    if field.default is None or field.default == "":
        return DEFAULT
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"
