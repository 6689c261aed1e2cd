"""What layers would cost at each stage, and how far the host's features look there."""

import copy
import csv
import io

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.insert import cost_at, insert
from pixelwise.insertion.layouts import FeatureLayout
from pixelwise.insertion.reaching import as_trained, reach
from pixelwise.insertion.suggesting import suggest

SIZE = (64, 96)


class Host(nn.Module):
    """Three convolutions on a picture, one of them with a stride of 4, and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.down = nn.Conv2d(16, 32, 2, 2)
        self.head = nn.Conv2d(32, 5, 1)

    def forward(self, x):
        return self.head(self.down(self.body(self.stem(x))))


def made(build=Host):
    torch.manual_seed(0)
    return build()


def test_costs_are_those_of_insert():
    host = made()
    before = copy.deepcopy(host.state_dict())
    found = suggest(host, "se, isa(down_factors=[(2, 2)])", size=SIZE)
    assert [place.name for place in found.places] == ["body", "down"]
    assert [row.layer for row in found.rows][:2] == ["se", "isa(down_factors=((2, 2),))"]
    for row in found.rows:
        report = cost_at(insert(host, {row.place: row.layer}), SIZE)
        assert (row.parameters, row.flops) == (report.parameters, report.flops)
        report.remove()
        assert row.seconds > 0
        assert row.measured
        assert 0 < row.memory <= row.training_memory
    assert "inserted" not in dict(host.named_modules())
    assert not any(module._forward_hooks for module in host.modules())
    assert host.training
    assert all(p.requires_grad for p in host.parameters())
    for name, value in host.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_table_is_readable_and_promises_nothing():
    found = suggest(made(), "se,psa_s,ocr,spd,fpa", size=SIZE)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert "after body: 16 channels on 16x24" in lines
    assert "  ocr: cannot stand here, it needs two inputs" in lines
    assert "  spd: cannot stand here, it changes the size or the width" in lines
    assert lines[-1] == "costs and reach only; whether it helps your data: pixelwise compare"
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert len(rows) == len(found.rows) == 10
    assert rows[0]["place"] == "body"
    assert rows[2]["problem"] == "it needs two inputs"


def test_small_maps_say_why():
    found = suggest(made(), "fpa", size=(32, 48))
    assert found.rows[-1].problem == "too small a map, it needs 8x8"


def test_reach_of_convolutions_is_their_receptive_field():
    host = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3)]).eval()
    found = reach(host, "2", FeatureLayout("first"), torch.randn(1, 3, 32, 48), (64, 96))
    assert (found.farthest, found.edge) == (3, False)
    assert 0 < found.radius <= 3 * 2**0.5
    assert found.area < 40 / (64 * 96)
    assert reach(host, "0", FeatureLayout("first"), torch.randn(1, 3, 8, 8), (8, 8)).farthest == 1


def test_hosts_that_give_no_gradient_say_so():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.body(x.detach())

    told = reach(Cut(), "body", FeatureLayout("first"), torch.randn(1, 3, 16, 16), (16, 16))
    assert told == "no gradient reaches the picture"


def test_branches_that_start_at_zero_count_and_are_zero_again():
    host = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
    nn.init.zeros_(host[1].weight)
    with as_trained(host) as count:
        assert count == 1
        assert (host[1].weight == 1).all()
        assert not any(p.requires_grad for p in host.parameters())
    assert not host[1].weight.any()
    assert all(p.requires_grad for p in host.parameters())


def test_a_transformer_is_asked_at_quarters_of_its_depth():
    import timm

    host = made(lambda: timm.create_model("test_vit", img_size=SIZE, class_token=True))
    found = suggest(host, ["se"], size=SIZE)
    names = [place.name for place in found.places]
    assert names == ["blocks.0", "blocks.2", "blocks.3", "blocks.5"]
    assert all(place.number is None for place in found.places)
    assert all(place.size == (4, 6) for place in found.places)
    assert found.places[0].reach.edge
    last = found.places[-1].problem
    assert last == "the host's output does not depend on the pixels there"
    assert f"no layer can stand here: {last}" in str(found)


def test_stages_are_counted_as_create_model_counts_them():
    import timm

    found = suggest(made(lambda: timm.create_model("test_resnet")), "eca", size=SIZE)
    assert [(p.number, p.name) for p in found.places][-1] == (4, "layer4")
    assert "stage 4, after layer4" in str(found)


def test_places_that_are_taken_say_so():
    host = made()
    insert(host, "body=eca")
    assert suggest(host, "eca", size=SIZE).places[0].problem == "a layer stands there already"


def test_what_takes_long_is_estimated_and_said():
    found = suggest(made(), "nonlocal", size=(512, 768), seconds=0.0)
    assert any("reach" in note for note in found.notes)
    assert str(found).endswith("pixelwise compare")


def test_an_example_with_several_inputs():
    class Two(Host):
        def forward(self, x, scale):
            return super().forward(x * scale[:, None, None, None])

    found = suggest(made(Two), "eca", example=(torch.randn(2, 3, 64, 96), torch.ones(2)))
    assert found.host.image == (64, 96)
    assert found.rows[0].measured
    assert found.places[0].reach is not None


@pytest.mark.parametrize(
    ("layers", "options", "told"),
    [
        ("", {}, "names no layer; "),
        ("see", {}, "did you mean"),
        ("se@3", {}, "every stage is tried; "),
        ("se(reductoin=3)", {}, "reductoin"),
        ("se", {"size": (1, 1)}, "takes no such pictures"),
    ],
)
def test_errors(layers, options, told):
    with pytest.raises(InputError) as caught:
        suggest(made(), layers, **{"size": SIZE} | options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
