"""The texts of the gallery: one for each layer and network, whose links and options exist."""

import inspect
import re
from pathlib import Path

import pytest
from building.gallery.reach import reach_lines
from building.wording import faults, needs_translation

from pixelwise import list_layers, list_models
from pixelwise.layers import registry
from pixelwise.layers.plans import read_plan
from pixelwise.networks import registry as networks
from pixelwise.networks.factory import create_model
from pixelwise.networks.zoo import ZOO

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = {
    "layers": ["What it is for", "What copies get wrong", "Where to put it"],
    "networks": ["What it is for", "When to choose it"],
}
PAGES = [("layers", key) for key in list_layers()] + [("networks", key) for key in list_models()]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)(?:#([^)]+))?\)")
CODE = re.compile(r"`([^`]+)`")
OF_OTHERS = {
    "align_corners=False",
    "bias=false",
    "replace_stride_with_dilation=[1, 2, 4]",
    "sub_sample_factor=(2, 2, 2)",
    'upscale_mode="nearest"',
}
"""Options that belong to the code that a page talks about."""


def text(kind: str, key: str) -> str:
    return (DOCS / "gallery" / kind / f"{key}.md").read_text(encoding="utf-8")


def sections(kind: str, key: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", text(kind, key), flags=re.MULTILINE)
    assert not parts[0], "text before the first section"
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("kind", SECTIONS)
def test_there_is_a_text_for_each_and_for_nothing_else(kind):
    names = list_layers() if kind == "layers" else list_models()
    assert sorted(file.stem for file in (DOCS / "gallery" / kind).iterdir()) == sorted(names)


@pytest.mark.parametrize(("kind", "key"), PAGES)
def test_sections_and_length(kind, key):
    found = sections(kind, key)
    assert list(found) == SECTIONS[kind]
    assert all(len(part.split()) > 25 for part in found.values())
    words = len(re.sub(r"\]\([^)]*\)", "", text(kind, key)).split())
    assert 120 <= words <= 280
    assert not re.search(r"^\s*%", text(kind, key), re.MULTILINE), "a comment for MyST"


@pytest.mark.parametrize(("kind", "key"), PAGES)
def test_what_it_is_for_is_told_in_three_sentences(kind, key):
    told = sections(kind, key)["What it is for"].strip()
    assert len(re.split(r"(?<=[.!?])\s+", told)) == 3
    assert told.endswith(".")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("kind", "key"), PAGES)
def test_links_lead_to_pages_and_name_what_they_lead_to(kind, key):
    here = DOCS / "gallery" / kind
    for label, target, anchor in LINK.findall(text(kind, key)):
        page = (here / target).resolve()
        assert page.is_file(), target
        assert page != (here / f"{key}.md").resolve(), "a link to itself"
        if page.parent.parent == DOCS / "gallery":
            assert label == f"`{page.stem}`"
        if anchor:
            assert anchor in anchors(page)


def options(kind: str, key: str) -> set[str]:
    if kind == "layers":
        own = inspect.signature(registry.available()[key]).parameters
        return {*own, "attention", "convolution"}
    arch = ZOO[key].arch if key in ZOO else key
    return {
        *inspect.signature(networks.available()[arch]).parameters,
        *inspect.signature(create_model).parameters,
    }


@pytest.mark.parametrize(("kind", "key"), PAGES)
def test_options_and_places_exist(kind, key):
    linked = [
        Path(target) for _, target, _ in LINK.findall(text(kind, key)) if "../.." not in target
    ]
    known = options(kind, key).union(
        *(options(page.parent.name or kind, page.stem) for page in linked)
    )
    for code in CODE.findall(text(kind, key)):
        call = re.fullmatch(r'create_model\("(\w+)"(?:, (.+))?\)', " ".join(code.split()))
        if call:
            assert call[1] in list_models()
        given = (call[2] or "") if call else " ".join(code.split())
        if given in OF_OTHERS:
            continue
        for name, value in re.findall(r"(\w+)=(\"[^\"]*\"|[^,]+)", given):
            assert name in known, f"{key} has no option {name}"
            if name in ("attention", "convolution"):
                assert read_plan(value.strip('"'), name)
        if re.fullmatch(r"\w+@[\w,]+", given):
            assert read_plan(given, "attention")


def test_titles_of_papers_stay_as_they_are_in_chinese():
    paper = '"Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018.'
    source, chinese = f"Source: {paper}", f"来源 {paper}"
    assert needs_translation(source)
    assert not needs_translation(paper.replace("MIDL 2018.", ""))
    assert not faults(source, chinese)
    assert faults(source.replace('"', ""), chinese.replace('"', ""))


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("ema", "(unordered), and no gradient comes from other pixels."),
        ("psa_s", "lies within 13.6 pixels, 90 % within 17.8."),
    ],
)
def test_the_field_is_told_with_its_radii_or_without_any(key, told):
    assert any(line.endswith(told) for line in reach_lines(key))
