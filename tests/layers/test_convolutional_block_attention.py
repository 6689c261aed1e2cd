import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.convolutional_block_attention import ConvolutionalBlockAttention

OPTIONS = {"cbam": {"reduction": 4}}
VARIANTS = {
    "cbam": [
        {"hidden": 3, "pools": ("lse", "lp")},
        {"hidden": 3, "pools": ("max", "lp", "avg"), "spatial": False},
        {"hidden": 3, "pools": ("avg",), "spatial": False},
    ]
}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    gated = x[:, :, at[0], at[1]] * maps.channel
    return gated if maps.spatial is None else gated * maps.spatial[:, :, at[0], at[1]]


def pooled(x, pool):
    if pool == "avg":
        return x.mean((2, 3))
    if pool == "max":
        return F.max_pool2d(x, x.shape[2:]).flatten(1)
    if pool == "lp":
        return F.lp_pool2d(x, 2, x.shape[2:]).flatten(1)
    return x.flatten(2).exp().sum(2).log()


@pytest.mark.parametrize("pools", [("avg",), ("lse", "lp"), ("max", "avg", "lp", "lse"), ("max",)])
@pytest.mark.parametrize("spatial", [True, False])
def test_pools_and_both_stages(pools, spatial):
    layer = ConvolutionalBlockAttention(8, hidden=3, pools=pools, spatial=spatial).double().eval()
    x = torch.randn(2, 8, 5, 6).double()
    channel = sum(layer.expand(layer.reduce(pooled(x, pool)).relu()) for pool in pools).sigmoid()
    wanted = x * channel[:, :, None, None]
    if spatial:
        both = torch.cat([wanted.max(1, keepdim=True).values, wanted.mean(1, keepdim=True)], 1)
        wanted = wanted * layer.norm(layer.score(both)).sigmoid()
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(reconstruct(layer, x, (4, 2)), wanted[:, :, 4, 2])


def test_input_is_left_alone_without_gradients():
    layer = ConvolutionalBlockAttention(8, hidden=3)
    x = torch.randn(2, 8, 5, 6)
    before = x.clone()
    with torch.no_grad():
        layer(x)
    assert torch.equal(x, before)


def test_pixel_gate_trains_where_all_before_it_is_frozen():
    layer = ConvolutionalBlockAttention(8, hidden=3)
    for part in (layer.reduce, layer.expand):
        part.requires_grad_(False)
    layer(torch.randn(2, 8, 5, 6)).sum().backward()
    assert layer.score.weight.grad.abs().max() > 0


def test_gradient_of_a_channel_of_zeros_is_finite():
    layer = ConvolutionalBlockAttention(8, hidden=3, pools=("lp",))
    x = torch.zeros(1, 8, 3, 3, requires_grad=True)
    layer(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_running_statistics_move_by_a_hundredth():
    layer = ConvolutionalBlockAttention(16)
    assert layer.norm.momentum == 0.01
    assert layer.norm.eps == 1e-5
    layer(torch.randn(2, 16, 5, 6))
    torch.testing.assert_close(layer.norm.running_var, torch.ones(1), rtol=0.02, atol=0)


def test_checkpoint():
    layer = ConvolutionalBlockAttention(32)
    state = {
        "ChannelGate.mlp.1.weight": torch.randn(2, 32),
        "ChannelGate.mlp.1.bias": torch.randn(2),
        "ChannelGate.mlp.3.weight": torch.randn(32, 2),
        "ChannelGate.mlp.3.bias": torch.randn(32),
        "SpatialGate.spatial.conv.weight": torch.randn(1, 2, 7, 7),
    }
    norm = nn.BatchNorm2d(1).state_dict().items()
    state |= {f"SpatialGate.spatial.bn.{name}": value for name, value in norm}
    layer.load_reference(state)
    assert torch.equal(layer.score.weight, state["SpatialGate.spatial.conv.weight"])
    channels_only = {key: value for key, value in state.items() if key.startswith("Channel")}
    ConvolutionalBlockAttention(32, spatial=False).load_reference(channels_only)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"pools": ()}, r"pools=\(\): must name one pool at least; e\.g\. pools=\('avg', 'max'\)"),
        ({"pools": ("avg", "min")}, "pools='min': must be one of 'avg', 'max', 'lp', 'lse'; use"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ConvolutionalBlockAttention(16, **options)
