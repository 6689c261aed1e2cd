"""Messages speak one dialect, `name=value: rule; remedy`, and stand on one line."""

import ast
from pathlib import Path

import pytest

import pixelwise
from pixelwise.checks import at_least, in_range, one_of, pair, parse_duration, parse_size
from pixelwise.errors import InputError, unknown

ROOT = Path(pixelwise.__file__).parent


def messages(file):
    """(line, literal text) of every InputError that is built in a file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError":
            parts = [p.value for p in ast.walk(node) if isinstance(p, ast.Constant)]
            yield node.lineno, "".join(part for part in parts if isinstance(part, str))


def spoken(file):
    """Those with words of their own: `f"{file}: {error}"` only puts a place before a message."""
    return [(line, text) for line, text in messages(file) if any(map(str.isalpha, text))]


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_messages_name_a_remedy_on_one_line(file):
    for line, text in spoken(file):
        assert "; " in text, f"{file}:{line}: no remedy behind a semicolon: {text}"
        assert "\n" not in text, f"{file}:{line}: more than one line: {text}"


def test_messages_are_found():
    assert len(spoken(ROOT / "data" / "config.py")) > 10


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: at_least(1, heads=2, groups=0), "groups=0: must be at least 1; raise groups"),
        (lambda: in_range(0, 1, lr=3.0), "lr=3: must be from 0 to 1; lower lr"),
        (lambda: in_range(0, 1, lr=float("nan")), "lr=nan: must be from 0 to 1; lower lr"),
        (lambda: pair(3, size=(4, 2)), "size=2: must be at least 3; raise size"),
        (
            lambda: parse_size(crop="9by"),
            "crop='9by': must be HEIGHTxWIDTH in pixels; e.g. 256x320",
        ),
        (lambda: parse_duration(pause="x"), "pause='x': must be a duration; e.g. 90s, 15m or 2h"),
        (
            lambda: one_of(("adamw", "sgd"), recipe="adam"),
            "recipe='adam': must be one of 'adamw', 'sgd'; did you mean 'adamw'?",
        ),
        (lambda: one_of(("a", "b"), key="x"), "key='x': must be one of 'a', 'b'; use one of them"),
    ],
)
def test_checks(check, message):
    with pytest.raises(InputError) as caught:
        check()
    assert str(caught.value) == message


def test_unknown_names_are_answered_with_the_nearest():
    text = str(unknown("layer", "psa", ["psa_s", "gc"]))
    assert text == "layer='psa': unknown layer; did you mean 'psa_s'? Known: gc, psa_s"
    many = [f"layer{i}" for i in range(30)]
    text = str(unknown("module", "layr1", many, "of Host"))
    assert text == "module='layr1': unknown module of Host; did you mean 'layer1'?"
    assert str(unknown("key", "x", ["aaa"])) == "key='x': unknown key; known: aaa"
    assert str(unknown("key", "x", [])) == "key='x': unknown key; check its spelling"


def test_case_and_dashes_do_not_hide_the_nearest():
    told = str(unknown("backbone", "MiT-B0", ["mit_b0", "mscan_t", *map(str, range(50))]))
    assert told == "backbone='MiT-B0': unknown backbone; did you mean 'mit_b0'?"
