import html.parser
import io
import re

import pytest
from PIL import Image
from synthetic import CLASSES, POINTS, comparison

from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.page import chart_sections
from pixelwise.compare.page.page import comparison_page
from pixelwise.metrics import Kind

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"(?:[A-Za-z]{2,}[ ,;]+){3,}[A-Za-z]{2,}")
"""Four words or more: a sentence, not a name."""


class Page(html.parser.HTMLParser):
    """Text by language, tags by language, and whether every tag is closed."""

    VOID = frozenset({"meta", "img", "br", "input", "use", "image"})

    def __init__(self, content):
        super().__init__()
        self.open, self.languages = [], [("html", None)]
        self.text, self.tags, self.alone = {}, {}, []
        self.feed(content.decode())
        self.close()
        assert self.open == []

    @property
    def language(self):
        return self.languages[-1][1]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.setdefault(self.language, []).append((tag, attrs))
        if tag in self.VOID:
            return
        self.open.append(tag)
        self.languages.append((tag, attrs.get("lang", self.language)))

    def handle_startendtag(self, tag, attrs):
        self.tags.setdefault(self.language, []).append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.languages.pop()

    def handle_data(self, data):
        if data.strip() and "style" not in self.open:
            self.text.setdefault(self.language, []).append(data.strip())


def pages(told):
    content = comparison_page(told)
    return content, Page(content)


def dot():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 2)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def no_charts(monkeypatch):
    """For tests that look at text only."""
    for name in ("trade_off", "learning_curves", "differences"):
        monkeypatch.setattr(chart_sections, name, lambda *_, **__: dot())


@pytest.fixture(scope="module")
def full():
    told = comparison(
        {"se": 0.05, "gc": 0.0, "<i>&注意力": -0.05},
        differing=[("differs_0.png", dot(), "what it shows", "图中所示")],
        machine={"device": "cpu", "Python": "3.12"},
        facts={"batch": "4"},
        warnings=["something to think about <here>"],
        failed={"gc, seed 9": "the loss is not finite"},
    )
    return told, *pages(told)


def test_the_page_is_one_file_that_asks_for_nothing(full):
    _, content, page = full
    text = content.decode()
    tags = [tag for found in page.tags.values() for tag in found]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    assert not re.search(r"https?:|//[a-z]", re.sub(r"base64,[^\"]*", "", text))
    targets = {a["href"] for _, a in tags if a.get("href", "").startswith("#")}
    assert targets <= {"#" + a["id"] for _, a in tags if "id" in a}
    names = [a["id"] for _, a in tags if "id" in a]
    assert len(names) == len({*names})


def test_a_picture_is_in_the_file_once_and_described_in_both_languages(full):
    _, content, page = full
    stored = re.findall(r"base64,([^\"]*)\"", content.decode())
    assert len(stored) == len({*stored}) == 6  # seeds, costs, curves, a disagreement
    labels = {
        language: [a["aria-label"] for tag, a in page.tags[language] if a.get("role") == "img"]
        for language in ("en", "zh-Hans")
    }
    assert len(labels["en"]) == len(labels["zh-Hans"]) == 6
    assert all(CHINESE.search(label) for label in labels["zh-Hans"])
    assert not any(CHINESE.search(label) for label in labels["en"])


def test_everything_is_said_in_both_languages(full):
    _, _, page = full
    shapes = {}
    for language in ("en", "zh-Hans"):
        found = [tag for tag, a in page.tags[language] if tag not in ("ul", "li")]
        shapes[language] = found
    assert shapes["zh-Hans"].count("section") == 10
    for tag in ("h1", "h2", "h3", "p", "table", "tr", "td", "th", "caption", "svg", "dt", "dd"):
        assert shapes["en"].count(tag) >= shapes["zh-Hans"].count(tag) > 0
    kept = ("pixelwise compare --data street --steps 100",)
    chinese = [text for text in page.text["zh-Hans"] if text not in kept]
    assert [text for text in chinese if LATIN.search(text)] == []
    names = ("树木", "<i>&注意力", "中文")
    english = re.sub("|".join(map(re.escape, names)), "", " ".join(page.text["en"]))
    assert "street \N{MIDDLE DOT} street 上" in english  # the title is in both
    english = english.replace(page.text["zh-Hans"][1], "")
    assert not CHINESE.search(re.sub(r"street 上\S*", "", english))
    assert "哪种注意力" in " ".join(page.text["zh-Hans"])


def test_the_reader_chooses_and_english_is_first(full):
    _, content, page = full
    inputs = [a for tag, a in page.tags["en"] if tag == "input"]
    assert [("checked" in a, a["type"], a["name"]) for a in inputs] == [
        (True, "radio", "language"),
        (False, "radio", "language"),
    ]
    assert b"#to-1:checked~.edition:nth-of-type(2){display:block}" in content
    tags = [a.get("lang") for found in page.tags.values() for tag, a in found if tag == "div"]
    assert [one for one in tags if one] == ["en", "zh-Hans"]


def test_names_come_back_as_text(full):
    told, _, page = full
    words = {word for found in page.text.values() for word in found}
    assert {"<i>&注意力", "<b>&", "something to think about <here>"} <= words
    assert "gc, seed 9: the loss is not finite" in words
    assert any(text.endswith("an operator <is> missing") for text in words)
    assert told.command in words


def test_rows_are_in_the_order_of_what_is_said_then_of_names(no_charts):
    _, page = pages(comparison({"z": 0.0, "a": 0.0, "m": 0.06, "b": -0.06, "k": 0.06}))
    texts = page.text["en"]
    names = [text for text in texts[texts.index("mechanism") :] if text in tuple("zambk")]
    assert list(dict.fromkeys(names)) == ["k", "m", "a", "z", "b"]


def test_the_numbers_of_a_verdict(full):
    told, _, page = full
    texts = page.text["en"]
    at = texts.index("worth it:")
    assert texts[at - 1] == "se"
    mean = next(one.mean for one in told.verdicts if one.arm == "se")
    assert texts[at + 2] == f"{100 * mean:.2f}"
    assert texts[at + 3].endswith(" *")
    assert texts[at + 4].startswith("+")
    assert texts[at + 6] == "28.5 (+14\N{NO-BREAK SPACE}%)"


def test_the_best_of_the_seeds_is_nowhere(no_charts):
    told = comparison({"se": 0.02})
    _, page = pages(told)
    best = max(run.main for run in told.runs("se"))
    assert f"{100 * best:.2f}" not in " ".join(page.text["en"])


OTHERS = {
    "one mechanism, one seed, no costs": {
        "gains": {"se": 0.02},
        "seeds": 1,
        "costs": False,
        "sizes": None,
        "kinds": CLASSES[:1],
    },
    "no control, nothing longer": {"gains": {"se": 0.02}, "controls": False, "longer": False},
    "pixels": {"gains": {"se": 0.02, "gc": -0.05}, "kinds": POINTS, "sizes": None},
    "a score without direction": {
        "gains": {"se": 0.02},
        "kinds": (*CLASSES, Kind("bias", "bias", None, False, "m")),
    },
    "long names": {"gains": {"isa(down_factors=[(8, 8)])": 0.0, "层$x$": 0.01}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_comparisons_are_pages_as_well(name):
    _, page = pages(comparison(**OTHERS[name]))
    assert len(page.text["en"]) > 50
    everything = " ".join(text for found in page.text.values() for text in found)
    assert not re.search(r"\bnan\b|\binf\b|None|Word\.", everything)


def test_nothing_is_finished():
    told = comparison({"se": 0.0}, seeds=0, costs=False)
    _, page = pages(told)
    assert any("no finished run" in text for text in page.text["en"])


def test_smaller_errors_are_below_0_and_told_so(no_charts):
    _, page = pages(comparison({"se": 0.05}, kinds=POINTS, sizes=None))
    texts = page.text["en"]
    assert texts[texts.index("worth it:") + 3].startswith("-")
    assert any("Below 0 is better" in text for text in texts)
    assert any("px smaller than none" in text for text in texts)


def test_what_halving_and_the_sweep_do_is_said(no_charts):
    settings = CompareSettings(
        data="street", attention="none,control,se", halving=True, lr_sweep="0.3,1,3"
    )
    _, page = pages(comparison({"se": 0.0}, settings=settings, dropped={"se": 2}))
    english, chinese = (" ".join(page.text[one]) for one in ("en", "zh-Hans"))
    assert "look worse than they are" in english
    assert "se (2)" in english
    assert "se (2)" in chinese
    assert "0.3,1,3 times the recipe's" in english


@pytest.mark.slow
def test_fifty_mechanisms_are_below_5_megabytes():
    gains = {f"mechanism_{i}(option=[{i}])": 0.001 * (i % 7) for i in range(50)}
    kinds = (CLASSES[0], *(Kind(f"iou_{i}", f"class {i}") for i in range(20)))
    content, _ = pages(comparison(gains, kinds=kinds))
    assert len(content) < 5e6
