import html.parser
import io

import pytest
import torch
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.metrics import Confusion
from pixelwise.report import (
    BETTER,
    Cell,
    Commands,
    Figure,
    Highlight,
    Report,
    Section,
    Settings,
    Table,
    Text,
    measures_table,
    render,
    write_report,
)
from pixelwise.tasks.class_results import ClassResult
from pixelwise.tasks.measures import Measure, Measures


def dot():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


class Page(html.parser.HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed."""

    VOID = frozenset({"meta", "img", "br", "!doctype"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture
def report():
    evil = '<script>alert("1 & 2")</script>'
    return Report(
        evil,
        "First.\n\nSecond.",
        highlights=(Highlight("mIoU", "70 %", evil),),
        sections=(
            Section("Run", evil, (Settings({"data": evil}), Table(("a", "b"), (("x", evil),)))),
            Section("Look", "", (Figure(dot(), evil, evil), Figure(dot(), "two", wide=True))),
            Section("More", "", (Text(evil, "Third.\n\nFourth."),)),
            Section("Next", "", (Commands({"pixelwise demo <x>": "again"}),)),
        ),
        footer=evil,
    )


def test_page_is_one_well_formed_file_that_asks_for_nothing(tmp_path, report):
    path = write_report(tmp_path / "new", report)
    assert path == tmp_path / "new" / "report.html"
    page = Page(path.read_text("utf-8"))
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe"} & set(names)
    sources = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    targets = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert targets == {"#" + attrs["id"] for _, attrs in page.tags if "id" in attrs}


def test_text_is_escaped_and_comes_back(report):
    page = Page(render(report))
    assert page.text.count(report.title) == 9  # wherever it was put, and as title and heading
    assert {"First.", "Second.", "Third.", "Fourth.", "again", "pixelwise demo <x>"} <= set(
        page.text
    )
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == [report.title, "two"]


def test_dollar_signs_are_only_text():
    assert "$sections and $ and ${x}" in Page(render(Report("t", "$sections and $ and ${x}"))).text


def test_an_empty_report_is_a_page():
    page = Page(render(Report("Nothing", "")))
    assert not any(tag in {"section", "dl"} for tag, _ in page.tags)


def test_better_is_marked_by_a_symbol():
    table = Table((), (("x", Cell("1", better=True), "2"),))
    page = Page(render(Report("t", "", sections=(Section("s", "", (table,)),))))
    assert page.text.count(BETTER) == 1
    assert ("span", {"role": "img", "aria-label": "best"}) in page.tags


def test_a_table_of_classes_marks_the_better_and_says_absent():
    ours = classes([[90, 0, 0], [0, 20, 10], [0, 0, 0]])
    theirs = classes([[80, 10, 0], [0, 30, 0], [0, 0, 0]])
    table = measures_table({"ours": ours, "theirs": theirs})
    assert table.header == ("class", "share of pixels, %", "ours", "theirs")
    assert table.rows == (
        ("a", "75.0", Cell("100.0", better=True), Cell("88.9")),
        ("b", "25.0", Cell("66.7"), Cell("75.0", better=True)),
        ("c", "0", Cell("absent"), Cell("absent")),
        ("mean IoU", "", Cell("83.3", better=True), Cell("81.9")),
        ("pixel accuracy", "", Cell("91.7"), Cell("91.7")),
    )
    alone = measures_table({"ours": ours})
    assert not any(cell.better for row in alone.rows for cell in row[2:])
    assert BETTER not in alone.caption


def classes(matrix):
    confusion = Confusion(3, 255)
    confusion.matrix = torch.tensor(matrix)
    return ClassResult(confusion, ("a", "b", "c")).measures()


def test_the_smaller_error_is_the_better_one():
    first = Measures((Measure("error", 2.0, False), Measure("bias", -1.0)), digits=1)
    second = Measures((Measure("error", 3.0, False), Measure("bias", 4.0)), digits=1)
    table = measures_table({"first": first, "second": second})
    assert table.header == ("measure", "first", "second")
    assert table.rows == (
        ("error", Cell("2.0", better=True), Cell("3.0")),
        ("bias", Cell("-1.0"), Cell("4.0")),
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"report\.html: cannot be written"):
        write_report(tmp_path / "file", Report("t", ""))
