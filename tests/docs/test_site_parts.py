"""The parts of the builder: links of pages, docstrings, options, equations, the look at links."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the packages of pixelwise[docs]")
from building import assembly, generators, places
from building.checking import problems
from building.chrome import WORDS
from building.escaping import escaped
from building.links import relinked, sources
from building.mathml import mathml
from building.reference.chapters import CHAPTERS
from building.reference.commands import command_page, parser_of
from building.reference.docstrings import markdown
from building.reference.settings import cell, settings_page
from building.reference.symbols import symbol

from pixelwise.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "path", "place", "expected"),
    [
        ("[a](data.md#masks)", "docs/x.md", "x.md", "[a](data.md#masks)"),
        ("[a](../data.md)", "docs/guides/x.md", "guides/x.md", "[a](../data.md)"),
        ("[a](../README.md)", "docs/x.md", "x.md", "[a](index.md)"),
        ("[a](../../CONTRIBUTING.md)", "docs/decisions/x.md", "decisions/x.md",
         "[a](../contributing.md)"),
        ("[a](docs/data.md)", "CHANGELOG.md", "changelog.md", "[a](data.md)"),
        ("[a](../studies/demo.csv)", "docs/x.md", "x.md", "[a](repo:studies/demo.csv)"),
        ("[a](../src/pixelwise)", "docs/x.md", "x.md", "[a](repo:src/pixelwise)"),
        ("[a](https://x.org/y) [b](#c)", "docs/x.md", "x.md", "[a](https://x.org/y) [b](#c)"),
        ("![a](pictures/b.png)", "docs/x.md", "x.md", "![a](pictures/b.png)"),
        ("```text\n[a](../README.md)\n```\n", "docs/x.md", "x.md",
         "```text\n[a](../README.md)\n```\n"),
    ],
)  # fmt: skip
def test_links_are_set_right_for_the_site(text, path, place, expected):
    assert relinked(text, path, place) == expected


def test_every_page_written_by_hand_is_in_one_table_of_contents():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    entries = []
    for block in re.findall(r"^:::\{toctree\}\n(.*?)^:::$", index, flags=re.M | re.S):
        entries += [line for line in block.splitlines() if line and not line.startswith(":")]
    written = {place.removesuffix(".md") for place in sources()} - {"index"}
    listed = {
        page for entry in entries for page in written if Path(page).match(entry) or page == entry
    }
    assert written == listed
    assert len(entries) == len(set(entries))


def test_only_what_changed_is_touched(tmp_path):
    fresh, kept = tmp_path / "fresh", tmp_path / "kept"
    for folder in (fresh, kept):
        (folder / "sub").mkdir(parents=True)
        (folder / "same.md").write_text("same")
    (kept / "same.md").chmod(0o444)
    before = (kept / "same.md").stat().st_mtime_ns
    (fresh / "sub" / "new.md").write_text("new")
    (kept / "sub" / "old.md").write_text("old")
    assembly.synchronise(fresh, kept)
    assert (kept / "same.md").stat().st_mtime_ns == before
    assert (kept / "sub" / "new.md").read_text() == "new"
    assert not (kept / "sub" / "old.md").exists()


def test_a_generator_runs_again_only_when_its_sources_change(tmp_path, monkeypatch):
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "a.py").write_text("1")
    monkeypatch.setattr(generators, "ROOT", tmp_path)
    room = tmp_path / "docs" / "building"
    room.mkdir(parents=True)
    (room / "made.py").write_text('from building.used import x\n\nREADS = ("read",)\n')
    (room / "used.py").write_text("x = 1\n")
    (room / "other.py").write_text("x = 1\n")
    monkeypatch.setattr(generators, "DOCS", tmp_path / "docs")
    keys = [generators._key("made")]
    (room / "other.py").write_text("x = 2\n")
    assert generators._key("made") == keys[0]
    for file in (tmp_path / "read" / "a.py", room / "used.py", room / "made.py"):
        file.write_text(file.read_text() + "\n# changed\n")
        keys.append(generators._key("made"))
    assert len(set(keys)) == 4


def page(body, head=""):
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="b.html">x</a>', None),
        ('<a href="b.html#there">x</a> <a href="#here" id="here">x</a>', None),
        ('<a href="https://example.org/paper">x</a> <a href="mailto:a@b.org">x</a>', None),
        ('<a href="../zh/a.html">x</a>', None),
        ('<a href="c.html">x</a>', "no file for c.html"),
        ('<a href="b.html#where">x</a>', "no such place: b.html#where"),
        ('<a href="https:///x">x</a>', "no address"),
        ('<a href="htps://x.org">x</a>', "unknown kind of link"),
        ('<img src="no.png">', "no file for no.png"),
        ('<img src="https://x.org/a.png">', "loads from another host: https://x.org/a.png"),
        ('<script src="//cdn.x.org/a.js"></script>', "loads from another host: //cdn.x.org"),
        ('<script>fetch("https://x.org/y")</script>', "loads from another host"),
        ("<style>a { background: url(https://x.org/y) }</style>", "loads from another host"),
        ('<svg><image href="https://x.org/a.png"/></svg>', "loads from another host"),
    ],
)
def test_links_and_hosts_are_looked_at(tmp_path, body, said):
    folder = tmp_path / "en"
    folder.mkdir()
    (folder / "a.html").write_text(page(body))
    (folder / "b.html").write_text(page('<p id="there">x</p>'))
    found = list(problems(tmp_path, ["en"]))
    if said is None:
        assert found == []
    else:
        assert len(found) == 1
        assert said in found[0]
        assert "a.html" in found[0]


def test_styles_and_fonts_of_other_hosts_are_found(tmp_path):
    folder = tmp_path / "en"
    folder.mkdir()
    head = '<link rel="stylesheet" href="https://fonts.x.org/css">'
    (folder / "a.html").write_text(page("", head))
    (folder / "a.css").write_text('@import "https://x.org/b.css"; b { src: url("//x.org/f") }')
    found = list(problems(tmp_path, ["en"]))
    assert sorted(line.partition(":")[0] for line in found) == ["a.css", "a.css", "en/a.html"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psa_s and _this_", r"psa_s and \_this\_"),
        ("a * b, `x * y`", r"a \* b, `x * y`"),
        ("[a](b) [1, 2]", r"\[a](b) [1, 2]"),
        ("a < b <c>", r"a < b \<c>"),
    ],
)
def test_only_markup_gets_a_backslash(text, expected):
    assert escaped(text) == expected
    assert escaped("a | b `c | d`", cell=True) == r"a \| b `c \| d`"


def test_docstrings_become_markdown():
    doc = (
        "One line.\n\nMore `code`\nin two lines.\n\nArgs:\n    x: first\n        goes on.\n"
        "    **options: others.\n\nShape:\n    (b, c) -> (b, c)\n\nReturns:\n    A thing.\n\n"
        "What a user relies on.\n\n    a = b\n"
    )
    assert markdown(doc) == (
        "One line.\n\nMore `code` in two lines.\n\n**Arguments**\n\n`x`\n: first goes on.\n\n"
        "`**options`\n: others.\n\n**Shape**\n\n(b, c) -> (b, c)\n\n**Returns**\n\nA thing.\n\n"
        "What a user relies on.\n\n```text\na = b\n```"
    )


def test_signatures_keep_shapes_as_they_are_written():
    from pixelwise.layers.base import Maps
    from pixelwise.networks.factory import create_model

    assert "`spatial: Float[Tensor, 'b heads h w'] | None = None`" in symbol(
        "Maps", Maps, "pixelwise.layers.base"
    )
    text = symbol("create_model", create_model, "pixelwise")
    assert text.startswith("## `create_model`\n\n```python\ncreate_model(\n    ")
    assert "`num_classes`\n: " in text
    assert "](repo:src/pixelwise/networks/factory.py)" in text


def test_what_the_reference_shows_exists_and_is_told():
    for chapter in CHAPTERS:
        for entry in chapter.symbols:
            module, _, names = entry.partition(":")
            room = importlib.import_module(module)
            for name in names.split() or room.__all__:
                value = getattr(room, name)
                if inspect.isclass(value) or inspect.isfunction(value):
                    assert value.__doc__, f"{module}.{name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_page_with_all_its_options(name):
    parser, hidden = parser_of(name)
    text = command_page(name)
    assert text.startswith(f"# pixelwise {name}\n")
    for action in parser._actions:
        if action.dest in hidden:
            assert f"`{action.option_strings[0]}`" in text.partition("## Advanced options")[2]
    if name in ("train", "find-lr"):
        assert "`--balance`" in text.partition("## Advanced options")[2]
        assert "`--epochs`" in text.partition("## Advanced options")[0]


def test_all_settings_are_in_a_table():
    text = settings_page()
    assert (
        "| `batch_size` | pictures per batch; default: 8, on a CPU 2 | `int or None` |  |" in text
    )
    assert "| `ema` *(advanced)* |" in text
    assert cell("see 'pixelwise models NAME' and --lr") == "see `pixelwise models NAME` and `--lr`"


def test_equations_become_mathml():
    inline = mathml(r"\operatorname{softmax}_n(w \cdot x_n)", "inline")
    assert inline.startswith("<math")
    assert 'display="inline"' in inline
    assert "softmax" in inline
    rows = mathml(r"a &= b \\ c &= \frac{d}{e}", "block")
    assert rows.count("<mtr") == 2
    assert "<mfrac>" in rows
    assert mathml(r"\mu \in \mathbb{R}^{c}", "inline").count("<mi>") == 3
    for unknown in (r"\foo{x}", r"\begin{gathered}a & b\end{gathered}"):
        with pytest.raises(ValueError, match="not known"):
            mathml(unknown, "block")


def test_words_around_pages_are_there_in_both_languages():
    assert WORDS["en"].keys() == WORDS["zh_CN"].keys()
    assert places.project()["source"].startswith("https://")
