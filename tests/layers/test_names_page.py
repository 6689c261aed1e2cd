"""`docs/names.md` is written from the tables of names: `pytest FILE --names docs/names.md`."""

import inspect
from pathlib import Path

from pixelwise import naming
from pixelwise.layers.aliases import SHARED
from pixelwise.layers.elsewhere import ELSEWHERE
from pixelwise.layers.registry import all_names, available

PAGE = Path(__file__).parents[2] / "docs" / "names.md"
HEAD = """# Which one do you mean?

Written by `pytest tests/layers/test_names_page.py --names docs/names.md` from the tables in
`pixelwise/layers/aliases.py` and `elsewhere.py` and from the layers themselves.

Many abbreviations stand for several mechanisms. `create_layer`, `insert`, `create_model`, the
command line and YAML read names in the same way:

- Every layer has one key, such as `psa_s`. Saved models, runs and tables hold the key.
- Other names of the same layer do as well: `SqueezeExcite`, `Coordinate Attention`, `DCNv2`, the
  title of the paper, `坐标注意力`. Case, spaces, `-`, `_`, British or American spelling, and a word
  such as "module" or "attention" at the end do not matter.
- A name that several layers have is refused, with all that it could be. `pixelwise layers PSA`
  lists them.
- A name of a mechanism that is not in this version is refused, with what is nearest in kind.

```text
error: attention='polarized self-attention': could be 'psa_s' (Polarized self-attention, sequential,
2021), 'psa_p' (Polarized self-attention, parallel, 2021); write 'psa_s' or 'psa_p'
```

**EMA.** `ema` is the expectation-maximisation attention of EMANet. Most people who write EMA mean
efficient multi-scale attention (2023). So `ema` works, and says once what it is: as a warning of
the class `pixelwise.notes.AmbiguousName` in Python, as a line on the command line. Write `emanet`
and nothing is said, or, in Python, call `warnings.simplefilter("ignore", AmbiguousName)`. Nothing
is said of what is loaded from a file. `EMA` in capitals is refused. The setting `--ema` of
`pixelwise train` is neither: it averages the weights.
"""
SHARED_HEAD = """
## Names of several mechanisms

A key in `code` is a layer here; mechanisms without a key are in the next table. A key in this table
(`ema`, `cam`, `deform`, `self_attention`) still works.

| name | could be |
|---|---|
"""
MISSING_HEAD = """
## Not in this version

| mechanism | paper | what it does | other names | nearest here |
|---|---|---|---|---|
"""
HERE_HEAD = """
## Other names of the layers

| layer | mechanism | other names |
|---|---|---|
"""


def page():
    names = all_names()
    away = {one.key: one for one in ELSEWHERE}

    def meaning(key):
        if key in names.known:
            return f"`{key}`: {naming.told(names.known[key])}"
        return naming.told(away[key])

    same = {}
    for name, keys in SHARED.items():
        same.setdefault(tuple(keys), []).append(name)
    shared = [f"| {', '.join(of)} | {'; '.join(map(meaning, keys))} |" for keys, of in same.items()]
    missing = [
        f"| {naming.told(one)} | {paper(one.paper)} | {one.line} | {', '.join(one.names)} |"
        f" {', '.join(f'`{key}`' for key in one.near)} |"
        for one in sorted(ELSEWHERE, key=lambda one: one.title.casefold())
    ]
    here = [
        f"| `{key}` | {naming.told(one)} | {', '.join(own(key, one.names))} |"
        for key, one in names.known.items()
        if available()[key].__module__.startswith("pixelwise.")
    ]
    tables = ((SHARED_HEAD, shared), (MISSING_HEAD, missing), (HERE_HEAD, here))
    return HEAD + "".join(head + "\n".join(lines) + "\n" for head, lines in tables)


def paper(text):
    if not text.startswith("arXiv "):
        return text
    return ", ".join(f"[{n}](https://arxiv.org/abs/{n})" for n in text[6:].split(", "))


def own(key, names):
    """Without those that need no table: the class, the paper's title, and those that are shared."""
    shared = {naming.folded(name) for name in SHARED}
    known = {available()[key].__name__} | {n for n in names if naming.folded(n) in shared}
    title = inspect.getdoc(inspect.getmodule(available()[key])) or ""
    return [n for n in names if n not in known and f'"{n}"' not in " ".join(title.split())]


def test_the_page_is_that_of_the_tables(pytestconfig):
    file = pytestconfig.getoption("names")
    if file is not None:
        file.write_text(page(), encoding="utf-8")
    told = "write it again: pytest tests/layers/test_names_page.py --names docs/names.md"
    assert PAGE.read_text(encoding="utf-8") == page(), told


def test_every_mechanism_has_one_line_that_a_table_can_hold():
    for one in ELSEWHERE:
        for text in (one.title, one.paper, one.line, *one.names):
            assert "|" not in text, one.title
        assert "arXiv" not in one.paper or all(
            len(number.split(".")) == 2 for number in one.paper[6:].split(", ")
        )
