import html.parser
import io
import json
import re

import numpy as np
import pytest
from made import EVIL, deletion, explanation, full, layer_map
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.explanation.page.numbers import numbers
from pixelwise.explanation.page.page import save
from pixelwise.explanation.page.verdict import judge


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and text by its tag."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open = [], [], [""]
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data):
        if self.open[-1] != "style":
            self.text.append(data)

    @property
    def drawn(self):
        return [attrs for tag, attrs in self.tags if tag == "svg" and attrs.get("role") == "img"]

    @property
    def images(self):
        return [attrs for tag, attrs in self.tags if tag == "img"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "new" / "look.html"
    assert save([full()], path) == path
    return Page(path)


def test_page_is_one_file_that_asks_for_nothing(page):
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.images)
    inside = [attrs["href"] for tag, attrs in page.tags if tag in ("image", "use")]
    assert all(href.startswith(("data:image/", "#")) for href in inside)
    named = {attrs.get("id") for _, attrs in page.tags}
    assert {href[1:] for href in inside if href.startswith("#")} <= named
    assert not any(attrs.get("href", "#").startswith("http") for _, attrs in page.tags)


def test_page_holds_maps_gates_checks_and_class_maps(page):
    assert [attrs["alt"] for attrs in page.images] == [
        "colours of maps",
        "Channel gates of body.layer2",
    ]
    drawn = [attrs["aria-label"] for attrs in page.drawn]
    assert len(drawn) == 10  # picture, three maps, two parts, rollout, class map, and curves:
    assert sum("while pixels are deleted" in label for label in drawn) == 2
    assert f"{EVIL} (88 %) at row 20, column 30" in page.text  # escaped, and as it was
    captions = " ".join(page.text)
    assert "from 0.90 to 0.30, deleting as many at random to 0.65" in captions
    assert "the map tells what matters (advantage +0.16)" in captions
    assert "no better than chance (advantage +0.00)" in captions


def test_page_says_what_each_layer_cost(page):
    for text in ("body.layer4", "5x7", "2.0", "1.5", "0.25", "0: no effect yet"):
        assert text in page.text


def test_shared_maps_of_one_picture_are_drawn_once(tmp_path):
    shared = layer_map("gate", "se", "channel", channel=full().maps[3].channel)
    first, second = (explanation(layer_map(), shared, at=(5, column)) for column in (6, 7))
    images = Page(save([first, second], tmp_path / "same.html")).images
    assert sum("Channel" in attrs["alt"] for attrs in images) == 1
    other = explanation(layer_map(), shared, size=(24, 32), at=(3, 3))
    images = Page(save([first, other], tmp_path / "other.html")).images
    assert sum("Channel" in attrs["alt"] for attrs in images) == 2


def test_png_holds_every_query_below_the_other(tmp_path):
    one = explanation(layer_map())
    sizes = []
    for count in (1, 2):
        path = save([one] * count, tmp_path / f"{count}.png")
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            sizes.append(picture.size)
    assert sizes[1] == (sizes[0][0], 2 * sizes[0][1])
    assert (one.save(tmp_path / "own.PNG")).read_bytes() == (tmp_path / "1.png").read_bytes()


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match=r"look\.pdf: ends in '\.pdf'; .* \.html or \.png"):
        save([explanation(layer_map())], tmp_path / "look.pdf")
    with pytest.raises(InputError, match="no explanation"):
        save([], tmp_path / "look.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save([explanation(layer_map())], tmp_path / "file" / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("attended", "random", "words"),
    [
        ((1, 0.2, 0.1, 0), [(1, 0.8, 0.5, 0), (1, 0.9, 0.5, 0)], "tells what matters"),
        ((1, 0.9, 0.8, 0), [(1, 0.3, 0.2, 0)], "worse than chance"),
        ((1, 0.50, 0.3, 0), [(1, 0.53, 0.3, 0)], "no better than chance"),  # too little
        ((1, 0.5, 0.3, 0), [(1, 0.4, 0.3, 0), (1, 0.9, 0.9, 0)], "no better than chance"),  # one is
    ],
)
def test_verdicts_ask_for_a_gap_to_every_random_order(attended, random, words):
    found = judge(deletion(tuple(map(float, attended)), *(tuple(map(float, r)) for r in random)))
    assert words in found.words
    assert (found.share, found.before, found.attended) == (0.2, 1.0, attended[1])
    assert found.random == pytest.approx(np.mean([r[1] for r in random]))


def test_numbers_are_plain_data():
    found = json.loads(json.dumps(numbers(full())))
    assert (found["at"], found["class"], found["probability"]) == ([20, 30], EVIL, 0.875)
    assert [layer["gain"] for layer in found["layers"]] == [None, None, 0.0, 0.25]
    assert found["layers"][0]["size"] == [5, 7]
    assert found["deletions"][0]["advantage"] == pytest.approx(0.1625)
    assert re.match("the map tells", found["deletions"][0]["verdict"])
    assert found["class_maps"][0]["method"] == "gradient"
    assert numbers(explanation())["rollout"] is None
