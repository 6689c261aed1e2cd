"""A network whose layers and operations all take their plain form gives the same numbers."""

import pytest
import torch

from pixelwise.benchmarks.work import ALL_PLAIN
from pixelwise.layers.position_attention import PositionAttention
from pixelwise.networks.factory import create_model
from pixelwise.ops.running import choice


@pytest.mark.parametrize("arch", ["danet", "psanet", "encnet", "ann", "attention_unet"])
def test_plain_network_equals_the_network(arch):
    torch.manual_seed(0)
    model = create_model(arch, "resnet18", num_classes=3).double().eval()
    image = torch.randn(1, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        ours = model(image)
        with choice.forced(**ALL_PLAIN):
            theirs = model(image)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_all_plain_takes_the_plain_form_of_the_layers_inside(monkeypatch):
    seen = []
    form = PositionAttention.plain
    monkeypatch.setattr(
        PositionAttention, "plain", lambda layer, x: seen.append(layer) or form(layer, x)
    )
    model = create_model("danet", "resnet18", num_classes=3).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        with choice.forced(**ALL_PLAIN):
            model(image)
        assert seen == [model.decoder.position]
        model(image)
        assert len(seen) == 1
