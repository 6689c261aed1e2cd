import pytest
import torch
from torch import nn

from pixelwise.explanation.explain import explain
from pixelwise.explanation.recording import recorded
from pixelwise.explanation.rollout import chain, followed, roll_out
from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.layers.registry import create

IMAGE = torch.randn(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def sharp(layer):
    """With weights that differ from pixel to pixel."""
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return layer


def network(*parts):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), *parts, nn.Conv2d(8, 4, 1)).eval()


def calls_of(model):
    with torch.no_grad(), recorded(model, (8, 12)) as calls:
        model(IMAGE)
    return calls


def matrix(call):
    """All rows of a layer's attention, mixed with the identity."""
    rows = [
        call.layer.maps(*call.inputs, at=divmod(n, call.size[1])).spatial[0].mean(0).flatten()
        for n in range(call.size[0] * call.size[1])
    ]
    return (torch.stack(rows) + torch.eye(len(rows))) / 2


@torch.no_grad()
def test_two_layers_are_the_product_of_their_matrices():
    torch.manual_seed(1)
    model = network(sharp(create("pam", 8)), nn.ReLU(), sharp(create("self_attention", 8)))
    first, second = calls_of(model)
    dense = matrix(second) @ matrix(first)
    found = roll_out([second, first], (3, 5), share=1.0)
    torch.testing.assert_close(found.spatial.flatten(), dense[3 * 12 + 5])
    torch.testing.assert_close(found.chain["3"].flatten(), matrix(second)[3 * 12 + 5])
    assert list(found.chain) == ["3", "1"]
    few = roll_out([second, first], (3, 5), most=24)
    assert few.spatial.sum() == pytest.approx(1)
    assert (few.spatial.flatten() - dense[3 * 12 + 5]).abs().sum() < 0.1


@torch.no_grad()
def test_layers_of_two_resolutions():
    torch.manual_seed(1)
    model = network(sharp(create("pam", 8)), nn.MaxPool2d(2), sharp(create("pam", 8)))
    first, second = calls_of(model)
    spread = torch.kron(torch.eye(4), torch.ones(2))[:, None]  # (4, 1, 8): each row is two
    across = torch.kron(torch.eye(6), torch.ones(2))
    coarse = matrix(second)[2 * 6 + 4].view(4, 6)
    fine = (spread[:, 0].T @ coarse @ across / 4).flatten()
    found = roll_out([second, first], (2, 4), share=1.0)
    torch.testing.assert_close(found.spatial.flatten(), fine @ matrix(first))


class Window(AttentionLayer):
    """A mean over three pixels of a row; at the edge, sees nothing."""

    cost_exponent = 1.0

    def plain(self, x):
        return nn.functional.avg_pool2d(x, (1, 3), 1, (0, 1))

    def maps(self, x, at=None):
        weights = torch.zeros(1, 1, *x.shape[2:])
        if 0 < at[1] < x.shape[3] - 1:
            weights[0, 0, at[0], at[1] - 1 : at[1] + 2] = 1.0
        return Maps(weights)


def test_explain_follows_the_chain():
    model = network(Window(8), nn.ReLU(), Window(8), nn.Tanh(), Window(8))
    found = explain(model, IMAGE, (3, 5), deletion=False).rollout
    assert list(found.parts) == ["5", "3", "1"]
    kernel = torch.tensor([1.0, 4, 1]) / 6  # (identity + mean of three) / 2
    wanted = kernel
    for _ in range(2):
        wanted = torch.nn.functional.conv1d(wanted[None, None], kernel[None, None], padding=2)[0, 0]
    exact = roll_out(calls_of(model)[::-1], (3, 5), share=1.0).spatial
    torch.testing.assert_close(exact[3, 2:9], wanted)
    assert (found.spatial - exact).abs().sum() < 0.1  # 95 % of the weight is followed
    assert found.spatial.sum() == pytest.approx(1)
    assert (found.at, found.size, found.kind, found.key) == ((3, 5), (8, 12), "pixel", "rollout")
    assert found.seconds > 0
    corner = explain(model, IMAGE, (0, 0), deletion=False, layers=["1", "3"]).rollout
    assert corner.spatial[0, 0] == 1  # who sees nothing keeps itself


class Beside(nn.Module):
    """Two layers side by side, and a third behind one of them."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.last = Window(8), Window(8), Window(8)

    def forward(self, x):
        return self.left(x) + self.last(self.right(x))


@torch.no_grad()
def test_only_what_reaches_the_last_layer_is_followed():
    model = network(Beside())
    links = chain(model, IMAGE, calls_of(model))
    assert [link.name for link in links] == ["1.last", "1.right"]
    assert not any(module._forward_hooks for module in model.modules())
    two = [call for call in calls_of(model) if call.name != "1.last"]
    assert [link.name for link in chain(model, IMAGE, two)] == ["1.right"]
    assert (
        explain(model, IMAGE, (3, 5), deletion=False, layers=["1.left", "1.right"]).rollout is None
    )


@torch.no_grad()
def test_repeated_calls_of_one_layer():
    layer = Window(8)
    model = network(layer, nn.ReLU(), layer)
    links = chain(model, IMAGE, calls_of(model))
    assert [link.name for link in links] == ["1#2", "1"]


def test_pixels_that_stand_for_all():
    few = followed(torch.tensor([0.5, 0.0, 0.3, 0.16, 0.04]), 0.95, 4)
    assert [n for n, _ in few] == [0, 2, 3]
    assert [w for _, w in few] == pytest.approx([w / 0.96 for w in (0.5, 0.3, 0.16)])
    many = followed(torch.full((1000,), 2.0), 0.95, 100)
    assert len(many) == 100
    assert len({n for n, _ in many}) == 100
    assert sum(w for _, w in many) == pytest.approx(2000)
