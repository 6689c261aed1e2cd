"""What a user asks for: `augment` as text or as a mapping; read before torch is loaded.

As text it is `turn=20, elastic=0.3` with options in brackets: `elastic(chance=0.3, strength=4)`. In
YAML it is `{turn: 20, elastic: {chance: 0.3, strength: 4}}`. Both become one mapping with every
option, which is what a run records.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pixelwise.data.augmenting.kinds import KINDS, OWN, RARE, Kind, Option
from pixelwise.data.augmenting.naming_own import spec_of
from pixelwise.errors import InputError, unknown
from pixelwise.kinds import shown
from pixelwise.settings import FALSE, TRUE
from pixelwise.yaml_files import inline

NAME = "augment"
EXAMPLE = "turn=20, elastic=0.3"
Asked = dict[str, dict[str, Any]]
"""Kind -> its options, all of them."""


def read_augment(augment: str | Mapping[Any, Any] | None) -> Asked | None:
    """Every kind that is asked for with all of its options; None: there is none.

    Raises:
        InputError: An unknown kind or option, or a value that cannot be.
    """
    if isinstance(augment, str):
        text = augment.strip()
        if text in ("", "none"):
            return None
        pairs = inline(text, "augment") if text.startswith("{") else _from_text(text)
    else:
        pairs = dict(augment or {})
    found: Asked = {}
    for name, value in pairs.items():
        if name == OWN:
            found[OWN] = {"call": spec_of(value["call"] if _is_mapping(value, "call") else value)}
        elif name in KINDS:
            options = _options(str(name), KINDS[str(name)], value)
            if options["chance"] and options[KINDS[str(name)].main]:
                found[str(name)] = options
        else:
            wrong = unknown("kind", str(name), [*KINDS, OWN])
            raise InputError(f"{NAME}: {wrong}")
    return found or None


def _is_mapping(value: Any, name: str) -> bool:
    return isinstance(value, Mapping) and [*value] == [name]


def _options(name: str, kind: Kind, value: Any) -> dict[str, Any]:
    given = dict(value) if isinstance(value, Mapping) else {kind.main: value}
    found: dict[str, Any] = {key: _plain(option) for key, option in kind.options.items()}
    if name == "copy_paste":
        found["classes"] = RARE
    for key, number in given.items():
        if key not in found:
            wrong = unknown("option", str(key), found, f"of {name}")
            raise InputError(f"{NAME}: {wrong}")
        if key == "classes":
            found[key] = _classes(number)
        else:
            found[key] = _number(f"{name}: {key}", kind.options[key], number)
    if name == "elastic" and 2 * found["strength"] >= found["spacing"]:
        raise InputError(
            f"augment: elastic: strength={found['strength']:g}: would fold the picture over itself;"
            f" keep it below half of spacing={found['spacing']:g}"
        )
    return found


def _plain(option: Option) -> float | int:
    return int(option.default) if option.whole else float(option.default)


def _number(name: str, option: Option, value: Any) -> float | int:
    number = value
    if (option.low, option.high, option.whole) == (0, 1, True):
        if not isinstance(value, bool) and value not in (0, 1):
            raise InputError(f"augment: {name}={shown(value)}: must be true or false; correct it")
        number = int(value)
    wanted = f"from {option.low:g} to {option.high:g}"
    kind = "a whole number" if option.whole else "a number"
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not option.low <= number <= option.high:
        raise InputError(f"augment: {name}={shown(value)}: must be {kind} {wanted}; correct it")
    if option.whole and number != int(number):
        raise InputError(f"augment: {name}={value}: must be a whole number {wanted}; round it")
    return int(number) if option.whole else float(number)


def _classes(value: Any) -> str | list[str]:
    if value == RARE:
        return RARE
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or not all(str(n).strip() for n in names):
        raise InputError(
            f"augment: copy_paste: classes={shown(value)}: must be rare, or a list of names;"
            " e.g. [car, sign]"
        )
    return [str(name) for name in names]


def _from_text(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _split(text, text):
        match = re.fullmatch(r"([\w-]+)\s*(?:=(.*)|\((.*)\))?", part.strip(), re.DOTALL)
        if match is None or (match[2] is None and match[3] is None):
            raise InputError(
                f"augment={shown(text)}: {part.strip()!r} must be KIND=NUMBER or"
                f" KIND(OPTION=NUMBER, ...); e.g. {EXAMPLE}"
            )
        name = match[1].replace("-", "_")
        if name in found:
            raise InputError(f"augment={shown(text)}: asks for {name} twice; keep one")
        found[name] = _value(match[2], name == OWN) if match[3] is None else {}
        for option in _split(match[3] or "", text):
            key, sign, value = option.partition("=")
            if not sign or not key.strip() or key.strip() in found[name]:
                raise InputError(
                    f"augment={shown(text)}: {option.strip()!r} must be OPTION=NUMBER, each once;"
                    " e.g. elastic(chance=0.3, strength=4)"
                )
            found[name][key.strip()] = _value(value)
    return found


def _value(text: str, word: bool = False) -> Any:
    """A number where it is one, a list in brackets, else the word itself."""
    text = text.strip()
    if word:
        return text
    if text.startswith("[") and text.endswith("]"):
        return [name.strip() for name in text[1:-1].split(",")]
    if text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    try:
        return float(text)
    except ValueError:
        return text


def _split(text: str, whole: str) -> list[str]:
    """At the commas that no bracket encloses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if depth < 0:
            break
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise InputError(f"augment={shown(whole)}: a bracket has no partner; e.g. {EXAMPLE}")
    return [part for part in parts if part.strip()]
