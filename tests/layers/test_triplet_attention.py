import pytest
import torch

from pixelwise.layers.triplet_attention import TripletAttention

VARIANTS = {"triplet": [{"spatial": False}]}
SIDES = (2048, 4096)


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def turned(gate, x):
    """A gate on the first of three axes, put back where the map has it."""
    return x * gate(torch.stack([x.amax(1), x.mean(1)], 1))


@pytest.mark.parametrize("spatial", [True, False])
def test_gates_of_turned_maps(spatial):
    layer = TripletAttention(5, spatial=spatial).double().eval()
    x = torch.randn(2, 5, 6, 7).double()
    columns = turned(layer.of_columns, x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)
    rows = turned(layer.of_rows, x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
    found = [columns, rows] + ([turned(layer.of_pixels, x)] if spatial else [])
    torch.testing.assert_close(layer(x), sum(found) / len(found))


def test_the_order_of_channels_counts():
    layer, x = TripletAttention(8).eval(), torch.randn(1, 8, 5, 6)
    assert not torch.allclose(layer(x.flip(1)).flip(1), layer(x), atol=1e-4)


def test_running_statistics_move_by_a_hundredth():
    layer = TripletAttention(8)
    norms = [gate.norm for gate in (layer.of_columns, layer.of_rows, layer.of_pixels)]
    assert [norm.momentum for norm in norms] == [0.01] * 3
    assert sum(p.numel() for p in layer.parameters()) == 300


@pytest.mark.parametrize("old", [False, True])
def test_checkpoint(old):
    layer, other = TripletAttention(8), TripletAttention(16)
    names = ("ChannelGateH.spatial", "ChannelGateW.spatial", "SpatialGate.spatial")
    names = names if old else ("cw.conv", "hc.conv", "hw.conv")
    parts = dict(zip(("of_columns", "of_rows", "of_pixels"), names, strict=True))
    state = {}
    for key, value in layer.state_dict().items():
        gate, part, rest = key.split(".")
        part = {"score": "conv", "norm": "bn"}[part]
        state[f"{parts[gate]}.{part}.{rest}"] = value
    other.load_reference(state)
    x = torch.randn(1, 8, 4, 5)
    other.channels = 8
    assert torch.equal(other.eval()(x), layer.eval()(x))
