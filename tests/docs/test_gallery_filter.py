"""The overview's filter, in a browser."""

import shutil
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "_theme" / "static" / "gallery.js"
ROWS = [
    ("se", "one gate per channel", "channels", "whole map"),
    ("pam", "every pixel gathers", "pairs of pixels", "whole map"),
    ("eca", "one gate per channel", "channels", "whole map"),
    ("conv", "plain", "nothing", "3 x 3"),
]


@pytest.fixture
def page(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs the program chromium")
    names = ["figure", "layer", "what it does", "weighs", "GFLOP", "grows with", "field"]
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        f"<tr><td></td><td>{key}</td><td>{line}</td><td>{kind}</td><td>1</td><td>n</td>"
        f"<td>{field}</td></tr>"
        for key, line, kind, field in ROWS
    )
    file = tmp_path / "overview.html"
    file.write_text(
        f'<meta charset="utf-8"><table class="overview"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table><script>{SCRIPT.read_text(encoding='utf-8')}</script>",
        encoding="utf-8",
    )
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program)
        opened = browser.new_page()
        opened.goto(file.as_uri())
        yield opened
        browser.close()


def shown(page):
    return [row.locator("td").nth(1).inner_text() for row in page.locator("tbody tr:visible").all()]


@pytest.mark.slow
def test_rows_are_filtered_by_words_and_by_columns(page):
    assert shown(page) == ["se", "pam", "eca", "conv"]
    assert page.get_by_label("weighs").locator("option").all_inner_texts() == [
        "weighs",
        "channels",
        "nothing",
        "pairs of pixels",
    ]
    page.get_by_label("weighs").select_option("channels")
    assert shown(page) == ["se", "eca"]
    page.get_by_label("layer").fill("GATE eca")
    assert shown(page) == ["eca"]
    assert page.locator("output").inner_text() == "1 / 4"
    page.get_by_label("weighs").select_option("")
    page.get_by_label("layer").fill("")
    assert len(shown(page)) == 4
    assert page.locator("tbody td").nth(3).get_attribute("data-label") == "weighs"
