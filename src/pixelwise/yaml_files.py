"""The one reader and writer of YAML files.

Numbers are read as people mean them, `1e-3` too, and dates, times and numbers with leading zeros
stay text. A key that stands twice is an error, and so is an alias. `yes`, `no`, `on` and `off`
are booleans, as they have been in YAML 1.1: who means a word puts it in quotes.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pixelwise.errors import InputError

TAG = "tag:yaml.org,2002:"
KINDS = {
    "bool": (
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    "int": (r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
        r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}  # fmt: skip
"""What plain words stand for: a pattern of the whole word, and what it may begin with."""


def read(file: str | Path, remedy: str = "write at least one") -> dict[Any, Any]:
    """The keys and values of a YAML file.

    Args:
        file: Text in UTF-8, with or without a byte order mark.
        remedy: What to do about a file without keys, for the message.

    Raises:
        InputError: No such file, not YAML, a key twice, or no keys; with the file and the line.
    """
    file = Path(file)
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: has no `key: value` lines; {remedy}")
    return content


def inline(text: str, name: str) -> dict[Any, Any]:
    """The keys and values of a mapping in one line, as `{a: 1, b: {c: 2}}`.

    Raises:
        InputError: It is no such mapping; the message begins with `name`.
    """
    try:
        content = yaml.load(text, Loader=_Loader)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{name}={text!r}: must be a mapping; e.g. {{a: 1, b: 2}}")
    return content


def to_text(values: Mapping[Any, Any]) -> str:
    """The text that `read` reads the same values from."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "cannot be read as YAML (brackets within brackets without end); write fewer levels"
    mark = getattr(error, "problem_mark", None)
    line = "" if mark is None else f"line {mark.line + 1}: "
    told = getattr(error, "problem", None) or str(error).partition(";")[0]
    told = " ".join(str(told).split())
    if r"'\t'" in told:
        return f"{line}cannot be read as YAML (a tab); indent with spaces"
    return f'{line}cannot be read as YAML ({told}); colours and other signs need quotes: "#ff0000"'


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 -- PyYAML's own name

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise InputError(
                f"line {line}: *{event.anchor} points to another value; write the value itself"
                " (text that begins with * needs quotes)"
            )
        if getattr(event, "tag", None) is not None:
            raise InputError(
                f"line {line}: has a tag, {event.tag}; write the value alone (text that begins"
                " with ! needs quotes)"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if isinstance(key, Hashable) and key in lines:
                raise InputError(
                    f"line {line}: {key_node.value!r} stands in line {lines[key]} already; keep one"
                )
            if isinstance(key, Hashable):
                lines[key] = line
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Quotes any text that `_Loader`, or a reader of YAML 1.1, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind, (_pattern, _first) in KINDS.items():
    for _reader in (_Loader, _Dumper):
        _reader.add_implicit_resolver(TAG + _kind, re.compile(f"(?:{_pattern})$"), list(_first))
