import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.attention_gate import AttentionGate

VARIANTS = {
    "gate": [
        {"activation": "softplus", "normalise": "softmax", "strided_guide": True, "norm": False},
        {"activation": "none", "normalise": "range", "align_corners": True, "stride": (1, 3)},
        {"hidden": 16, "project": False, "project_guide": False, "transform": False},
        {"hidden": 16, "score": False},
        {"stride": 1, "compare_norm": True, "transform": False},
    ]
}


def guide(x):
    return x.detach()[:, :, ::2, ::2].cos()


def reconstruct(layer, x, guide, at):
    gated = x * layer.maps(x, guide, at).spatial
    return (gated if layer.transform is None else layer.transform(gated))[:, :, at[0], at[1]]


def resized(z, to, align_corners=False):
    return F.interpolate(z, to.shape[2:], mode="bilinear", align_corners=align_corners)


@pytest.mark.parametrize("activation", ["relu", "softplus", "none"])
@pytest.mark.parametrize("normalise", ["sigmoid", "softmax", "mean", "mean_flow", "range"])
@pytest.mark.parametrize("strided_guide", [False, True])
@pytest.mark.parametrize("align_corners", [False, True])
def test_equations(activation, normalise, strided_guide, align_corners):
    torch.manual_seed(0)
    layer = AttentionGate(
        8,
        guide_channels=5,
        hidden=3,
        stride=(2, 3),
        activation=activation,
        normalise=normalise,
        strided_guide=strided_guide,
        align_corners=align_corners,
    ).double()
    layer.transform[1].running_mean += 0.2
    x, g = torch.randn(2, 8, 9, 13).double(), torch.randn(2, 5, 5, 6).double()
    features = F.conv2d(x, layer.reduce.weight, stride=(2, 3))
    step = (2, 3) if strided_guide else 1
    wanted = F.conv2d(g, layer.reduce_guide.weight, layer.reduce_guide.bias, stride=step)
    f = features + resized(wanted, features, align_corners)
    f = {"relu": F.relu, "softplus": F.softplus, "none": torch.clone}[activation](f)
    e = layer.score(f).flatten(2)
    low, high, total = e.amin(2, keepdim=True), e.amax(2, keepdim=True), e.sum(2, keepdim=True)
    a = {
        "sigmoid": e.sigmoid(),
        "softmax": e.softmax(2),
        "mean": e / total,
        "mean_flow": (e - low) / (total - low * e.shape[2]),
        "range": (e - low) / (high - low),
    }[normalise]
    a = resized(a.view(2, 1, *features.shape[2:]), x, align_corners)
    torch.testing.assert_close(layer.maps(x, g).spatial, a)
    layer.eval()
    wanted = layer.transform(a * x)
    torch.testing.assert_close(layer(x, g), wanted)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, g), wanted)
    last = layer(x.to(memory_format=torch.channels_last), g)
    torch.testing.assert_close(last, wanted)
    layer.train()
    torch.testing.assert_close(layer(x, g), layer.transform(a * x))


def test_switches():
    x, g = torch.randn(2, 8, 6, 5), torch.randn(2, 8, 3, 4)
    bare = AttentionGate(
        8,
        hidden=8,
        activation="none",
        project=False,
        project_guide=False,
        score=False,
        transform=False,
    )
    assert not list(bare.parameters())
    weights = (x + resized(g, x)).sigmoid()
    torch.testing.assert_close(bare(x, g), x * weights)
    torch.testing.assert_close(bare.maps(x, g).spatial, weights)
    plain = AttentionGate(8, norm=False).eval()
    weights = plain.maps(x, g).spatial
    torch.testing.assert_close(plain(x, g), plain.transform[0](weights * x))
    many = AttentionGate(8, hidden=8, score=False).eval()
    weights = many.maps(x, g).spatial
    assert weights.shape == x.shape
    torch.testing.assert_close(many(x, g), many.transform(weights * x))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 2)])
@pytest.mark.parametrize("strided_guide", [False, True])
def test_maps_below_the_stride_are_padded(size, strided_guide):
    layer = AttentionGate(8, stride=3, strided_guide=strided_guide).eval()
    x = torch.randn(1, 8, *size)
    assert layer(x, x[:, :, :1, :1]).shape == x.shape
    assert torch.isfinite(layer(x, x[:, :, :1, :1])).all()


@pytest.mark.parametrize("normalise", ["mean_flow", "range"])
def test_equal_scores_give_zero_weights(normalise):
    layer = AttentionGate(8, normalise=normalise)
    x = torch.ones(2, 8, 4, 4, requires_grad=True)
    weights = layer.maps(x, torch.ones(2, 8, 1, 1)).spatial
    assert torch.equal(weights, torch.zeros(2, 1, 4, 4))
    weights.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_transform_trains_where_the_features_are_fixed():
    layer = AttentionGate(8).eval()
    layer.transform.requires_grad_(False)
    layer(torch.randn(1, 8, 6, 6), torch.randn(1, 8, 3, 3)).sum().backward()
    assert layer.reduce.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("strided", "normalise", "start"),
    [
        (True, "sigmoid", 3.0),
        (True, "softmax", 10.0),
        (True, "mean", None),
        (False, "softmax", None),
    ],
)
def test_start_of_the_score(strided, normalise, start):
    layer = AttentionGate(8, strided_guide=strided, normalise=normalise)
    assert (start is None) == (layer.score.bias.item() not in (3.0, 10.0))
    if start is not None:
        assert layer.score.bias.item() == start


def test_initialisation():
    layer = AttentionGate(256)
    deviation = (2 / (256 * 4)) ** 0.5
    assert layer.reduce.weight.std().item() == pytest.approx(deviation, rel=0.05)
    norm = layer.transform[1]
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=0.01)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert torch.equal(norm.bias, torch.zeros(256))


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_checkpoints(strided, norm):
    layer = AttentionGate(8, guide_channels=5, hidden=4, strided_guide=strided, norm=norm)
    side = 2 if strided else 1
    last = "W.0" if norm else "W"
    state = {
        "theta.weight": torch.randn(4, 8, 2, 2),
        "phi.weight": torch.randn(4, 5, side, side),
        "psi.weight": torch.randn(1, 4, 1, 1),
        "psi.bias": torch.randn(1),
        f"{last}.weight": torch.randn(8, 8, 1, 1),
        f"{last}.bias": torch.randn(8),
    }
    if not strided:
        state["phi.bias"] = torch.randn(4)
    if norm:
        state |= {f"W.1.{key}": value for key, value in nn.BatchNorm2d(8).state_dict().items()}
    layer.load_reference(state)
    assert torch.equal(layer.transform[0].weight, state[f"{last}.weight"])


def test_norms_in_the_comparison():
    torch.manual_seed(0)
    layer = AttentionGate(8, guide_channels=5, hidden=4, stride=1, compare_norm=True)
    state = {}
    for name, inputs, outputs in (("W_x", 8, 4), ("W_g", 5, 4), ("psi", 4, 1)):
        parts = {"0": nn.Conv2d(inputs, outputs, 1), "1": nn.BatchNorm2d(outputs)}
        nn.init.normal_(parts["1"].running_mean)
        for number, part in parts.items():
            state |= {f"{name}.{number}.{key}": v for key, v in part.state_dict().items()}
    whole = {f"W.{key}": value for key, value in layer.transform.state_dict().items()}
    layer.eval().load_reference(state | whole)
    x, g = torch.randn(2, 8, 6, 5), torch.randn(2, 5, 6, 5)

    def projected(name, z):
        z = F.conv2d(z, state[f"{name}.0.weight"], state[f"{name}.0.bias"])
        return F.batch_norm(z, *(state[f"{name}.1.{p}"] for p in STATISTICS))

    weights = projected("psi", (projected("W_x", x) + projected("W_g", g)).relu()).sigmoid()
    torch.testing.assert_close(layer.maps(x, g).spatial, weights)
    torch.testing.assert_close(layer(x, g), layer.transform(x * weights))
    strided = AttentionGate(8, strided_guide=True, compare_norm=True)
    assert strided.score[1].bias.item() == 3.0


STATISTICS = ("running_mean", "running_var", "weight", "bias")


def test_parameters_of_the_published_size():
    layer = AttentionGate(128, guide_channels=256, hidden=128)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 115_329


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide_channels": 0}, "guide_channels=0: must be at least 1; raise guide_channels"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"stride": 0}, "stride=0: must be at least 1; raise stride"),
        ({"stride": (2, 0)}, "stride=0: must be at least 1; raise stride"),
        ({"activation": "elu"}, "activation='elu': must be one of 'relu', 'softplus', 'none'"),
        ({"normalise": "max"}, "normalise='max': must be one of 'sigmoid', 'softmax', 'mean', 'm"),
        ({"project": False}, "hidden=4 with project=False: must be 8; set hidden, or project=True"),
        (
            {"project_guide": False, "guide_channels": 5},
            "hidden=4 with project_guide=False: must be 5; set hidden, or project_guide=True",
        ),
        ({"score": False}, "hidden=4 with score=False: must be 1 or 8; set hidden, or score=True"),
        (
            {"score": False, "hidden": 8, "normalise": "mean"},
            "hidden=8 with score=False: must be 1",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        AttentionGate(8, **options)
