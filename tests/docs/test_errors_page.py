"""The page of error messages has every message of the source, and its words can be found."""

import ast
import re

import pytest
from building import error_messages, errors_page
from building.error_rooms import heading

from pixelwise.checks import at_least
from pixelwise.errors import InputError

FOUND = error_messages.messages()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors")
    errors_page.write(folder)
    return (folder / "errors.md").read_text(encoding="utf-8")


def built(file):
    """(line, all literal text) of each InputError that a file builds."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError":
            parts = [p.value for p in ast.walk(node) if isinstance(p, ast.Constant)]
            yield node.lineno, "".join(part for part in parts if isinstance(part, str))


def test_every_error_of_the_source_is_on_the_page():
    known = {(message.place, message.line) for message in FOUND}
    missing = []
    for file in sorted(error_messages.PACKAGE.rglob("*.py")):
        place = file.relative_to(error_messages.PACKAGE).with_suffix("").as_posix()
        for line, text in built(file):
            if "; " in text and any(map(str.isalpha, text)) and (place, line) not in known:
                missing.append(f"{place}:{line}: {text}")
    assert not missing
    assert len(FOUND) > 1000


def test_messages_have_both_parts_and_an_anchor_of_their_own(written):
    anchors = {(heading(message.place), message.text): message.anchor for message in FOUND}
    assert all(message.rule and message.remedy for message in FOUND)
    assert len(set(anchors.values())) == len(anchors)
    assert sorted(re.findall(r"\]\{#([\w-]+)\}", written)) == sorted(anchors.values())


def test_words_of_a_real_message_are_found(written):
    with pytest.raises(InputError) as caught:
        at_least(2, heads=1)
    assert str(caught.value) == "heads=1: must be at least 2; raise heads"
    entry = "- [`NAME=VALUE: must be at least LEAST`]{#error-must-be-at-least-"
    assert entry in written
    assert "\\\n  `raise / lower NAME`\n" in written  # of in_range: either is said


def test_placeholders_do_not_grow_together_with_words():
    for message in FOUND:
        glued = re.findall(r"\b(?!Ge)[a-z]{2,}[A-Z]{3,}[A-Z_]*\b", message.text)
        assert not glued, message


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('f"{name}={value!r}: is empty; write one"', "NAME=VALUE: is empty; write one"),
        ('f"{self.path}: holds {len(found)} files; give one"', "PATH: holds FOUND files; give one"),
        ('f"{p}: is {kind}; " + remedy', "P: is KIND; take another"),
        ("f\"x: no{hint}; do {'a' if b else 'c'}\"", "x: no HINT; do a / c"),
        ("f\"{type(x).__name__}: bad; see {', '.join(names)}\"", "TYPE: bad; see NAMES"),
    ],
)
def test_texts_are_readable(source, text):
    scope = {"remedy": [ast.Constant("take another")]}
    assert error_messages.readable(ast.parse(source, mode="eval").body, scope) == text


def test_usual_messages_still_exist():
    rules = {message.rule for message in FOUND}
    known = errors_page.causes()
    assert len(known) >= 20
    assert not [rule for rule in known if rule not in rules]
    docs = error_messages.ROOT / "docs"
    assert all((docs / page).is_file() for cause in known.values() for page in cause.see)


def test_a_part_of_the_source_without_a_heading_is_named():
    with pytest.raises(KeyError, match="newroom"):
        heading("newroom/file")


def test_code_holds_backticks():
    assert errors_page.code("write `map:`") == "`` write `map:` ``"
    assert errors_page.code("plain") == "`plain`"
