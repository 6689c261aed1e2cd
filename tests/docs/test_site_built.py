"""The whole site, built once: both languages, links, the other language of each page, the search.

The build itself looks through all links, anchors and pictures, and at what pages would load from
other hosts.
"""

import functools
import html
import http.server
import re
import threading
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the packages of pixelwise[docs]")
pytest.importorskip("pagefind", reason="needs the packages of pixelwise[docs]")
from building.checking import Page, problems

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
NOTEBOOKS = ROOT / "docs/notebooks"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(built):
    return built / "site"


def pages(site, language):
    return sorted((site / language).rglob("*.html"))


def test_both_languages_have_the_same_pages_and_lead_to_each_other(site):
    for language, other, code in (("en", "zh", "zh-CN"), ("zh", "en", "en")):
        assert len(pages(site, language)) > 80
        for file in pages(site, language):
            place = file.relative_to(site / language)
            text = file.read_text(encoding="utf-8")
            links = re.findall(
                r'<a class="language-switch" href="([^"]+)" hreflang="([^"]+)"', text
            )
            assert links, place
            assert {link for _, link in links} == {code}
            for address, _ in links:
                assert (file.parent / address).resolve() == (site / other / place).resolve()
                assert (site / other / place).is_file()
            assert re.search(r'<html[^>]* lang="(en|zh-CN)"', text)[1] == (
                "en" if language == "en" else "zh-CN"
            )


def test_links_lead_somewhere_and_nothing_comes_from_another_host(site):
    assert list(problems(site, ["en", "zh"])) == []


PRINTED = {
    "explanation": ("class at the pixel:", "sum of the weights 1.000"),
    "insertion": ("equal to the last bit: True", "equal after loading: True", "[]"),
    "own_pictures": ("training may start", "(1, 7, 70, 90)"),
}
"""What each notebook prints, among other lines."""


def test_notebooks_ran_from_top_to_bottom(site):
    assert sorted(PRINTED) == sorted(file.stem for file in NOTEBOOKS.glob("*.py"))
    for name, parts in PRINTED.items():
        text = html.unescape((site / "en/notebooks" / f"{name}.html").read_text("utf-8"))
        said = re.sub("<[^>]+>", "", text)
        for part in parts:
            assert part in said, (name, part)


ASKED = (
    ("faq.html", "what-is-the-difference-between-sequential-and-parallel-psa"),
    ("faq.html", "which-layer-for-thin-cracks-roads-or-vessels"),
    ("faq.html", "why-is-my-miou-nan"),
    ("guides/from-mmsegmentation.html", None),
    ("guides/insertion.html", "yolo11-with-cbam"),
)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_common_questions_are_answered_within_two_clicks(site, language):
    start = site / language / "index.html"
    near, clicks = {start.resolve()}, 2
    for _ in range(clicks):
        for file in list(near):
            links = (link.partition("#")[0] for link in Page(file).links if "://" not in link)
            found = {(file.parent / link).resolve() for link in links if link.endswith(".html")}
            near |= {place for place in found if place.is_file()}
    for place, anchor in ASKED:
        file = (site / language / place).resolve()
        assert file in near
        assert anchor is None or anchor in Page(file).names


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def served(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    with api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM))
        yield opened
        opened.close()


SEARCHED = (
    ("en", "out of memory", "faq.html"),
    ("en", "thin cracks", "faq.html"),
    ("en", "Target 192 is out of bounds", "faq.html"),
    ("en", "mIoU nan", "faq.html"),
    ("en", "CBAM YOLO11", "guides/insertion.html"),
    ("en", "load my mmseg checkpoint", "guides/from-mmsegmentation.html"),
    ("zh", "极化自注意力", "gallery/layers/psa_s.html"),
    ("zh", "PSA 串行和并行有什么区别", "faq.html"),
    ("zh", "out of memory", "faq.html"),
    ("zh", "感受野", "receptive-fields.html"),
)


@pytest.mark.parametrize(("language", "question", "expected"), SEARCHED)
def test_the_search_finds_the_page(served, browser, language, question, expected):
    tab = browser.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{served}/{language}/index.html")
    tab.keyboard.press("/")
    tab.locator(".search-input").fill(question)
    tab.wait_for_selector(".search-results li", timeout=20_000)
    tab.wait_for_function(
        "document.querySelector('.search-note').textContent !== ''", timeout=20_000
    )
    links = tab.eval_on_selector_all(".search-page", "found => found.map(link => link.href)")
    tab.close()
    places = [link.partition(f"/{language}/")[2].partition("#")[0] for link in links[:5]]
    assert expected in places
    assert [url for url in asked if not url.startswith(served)] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_fit_and_show_the_switch(served, browser, language, width):
    tab = browser.new_page(viewport={"width": width, "height": 800})
    failed = []
    tab.on("pageerror", lambda error: failed.append(str(error)))
    tab.on("requestfailed", lambda request: failed.append(request.url))
    for place in ("index", "faq", "networks", "reference/pixelwise", "gallery/layers/psa_s"):
        tab.goto(f"{served}/{language}/{place}.html")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, place
        shown = tab.locator(".language-switch:visible")
        assert shown.count() == 1, place
        box = shown.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    tab.locator(".language-switch:visible").click()
    tab.wait_for_url(f"{served}/{'zh' if language == 'en' else 'en'}/gallery/layers/psa_s.html")
    tab.close()
    assert failed == []
