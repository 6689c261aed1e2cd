import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.bottleneck_attention import BottleneckAttention

OPTIONS = {"bam": {"reduction": 4}}
VARIANTS = {
    "bam": [
        {"hidden": 3, "variant": "paper", "depth": 0},
        {"hidden": 3, "depth": 3, "dilation": 2},
    ]
}


def reconstruct(layer, x, at):
    return x[:, :, at[0], at[1]] * layer.maps(x, at).spatial[:, :, at[0], at[1]]


def branches(layer, x, mean):
    channel = layer.expand(layer.norm(layer.reduce(mean)).relu())[:, :, None, None]
    z = layer.narrow[1](layer.narrow[0](x)).relu()
    for conv, norm in zip(layer.dilated, layer.norms, strict=True):
        z = norm(conv(z)).relu()
    return channel, layer.score(z)


@pytest.mark.parametrize("variant", ["code", "paper"])
@pytest.mark.parametrize(("depth", "dilation"), [(0, 1), (2, 4), (3, 2)])
def test_branches_are_multiplied_in_the_code_and_added_in_the_paper(variant, depth, dilation):
    layer = BottleneckAttention(8, hidden=3, depth=depth, dilation=dilation, variant=variant)
    layer.double().eval()
    x = torch.randn(2, 8, 7, 9).double()
    channel, spatial = branches(layer, x, x.mean((2, 3)))
    joint = channel * spatial if variant == "code" else channel + spatial
    torch.testing.assert_close(layer(x), x * (1 + joint.sigmoid()))
    torch.testing.assert_close(layer.maps(x).spatial, 1 + joint.sigmoid())


def test_square_window_sees_the_first_columns_alone():
    layer = BottleneckAttention(8, hidden=3, square_window=True).double().eval()
    x = torch.randn(1, 8, 5, 9).double()
    channel, spatial = branches(layer, x, x[..., :5].mean((2, 3)))
    torch.testing.assert_close(layer(x), x * (1 + (channel * spatial).sigmoid()))
    torch.testing.assert_close(layer.plain(x), layer(x))
    whole = BottleneckAttention(8, hidden=3).double().eval()
    whole.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x[..., :5]), whole(x[..., :5]))


@pytest.mark.parametrize("size", [(5, 4), (5, 10), (1, 3)])
def test_square_window_has_limits(size):
    layer = BottleneckAttention(8, hidden=3, square_window=True).eval()
    with pytest.raises(InputError, match="must have as many columns as rows"):
        layer(torch.randn(1, 8, *size))


def test_factors_lie_between_one_and_two():
    layer = BottleneckAttention(8, hidden=3).eval()
    factors = layer.maps(5 * torch.randn(2, 8, 6, 6)).spatial
    assert (factors >= 1).all()
    assert (factors <= 2).all()


@pytest.mark.parametrize("depth", [0, 2, 12])
def test_checkpoint_of_any_depth(depth):
    layer = BottleneckAttention(32, depth=depth)
    channel, pixel = "channel_att.gate_c.gate_c_", "spatial_att.gate_s.gate_s_"
    modules = {
        f"{channel}fc_0": nn.Linear(32, 2),
        f"{channel}bn_1": nn.BatchNorm1d(2),
        f"{channel}fc_final": nn.Linear(2, 32),
        f"{pixel}conv_reduce0": nn.Conv2d(32, 2, 1),
        f"{pixel}bn_reduce0": nn.BatchNorm2d(2),
        f"{pixel}conv_final": nn.Conv2d(2, 1, 1),
    }
    for i in range(depth):
        modules[f"{pixel}conv_di_{i}"] = nn.Conv2d(2, 2, 3)
        modules[f"{pixel}bn_di_{i}"] = nn.BatchNorm2d(2)
    state = {f"{n}.{k}": v for n, m in modules.items() for k, v in m.state_dict().items()}
    layer.load_reference(state)
    if depth:
        last = state[f"{pixel}conv_di_{depth - 1}.weight"]
        assert torch.equal(layer.dilated[depth - 1].weight, last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 9}, "reduction=9: must not exceed channels=8; lower it"),
        ({"hidden": 3, "dilation": 0}, "dilation=0: must be at least 1; raise dilation"),
        ({"hidden": 3, "depth": -1}, "depth=-1: must be at least 0; raise depth"),
        ({"hidden": 3, "variant": "sum"}, "variant='sum': must be one of 'code', 'paper'; use"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        BottleneckAttention(8, **options)
