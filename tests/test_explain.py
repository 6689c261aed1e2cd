import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.explain import look, recorded_inputs
from pixelwise.layers.base import AttentionLayer, Maps


class Here(AttentionLayer):
    """All weight on the asked pixel, scaled by the input's sum."""

    key = "here"
    cost_exponent = 1.0

    def forward(self, x):
        return x + 1

    def maps(self, x, at=None):
        weights = torch.zeros(len(x), 1, *x.shape[2:])
        weights[:, 0, at[0], at[1]] = x.sum()
        return Maps(spatial=weights)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), Here(), nn.MaxPool2d(4, ceil_mode=True), Here()
    )


def test_maps_come_from_what_each_layer_received(model):
    image = torch.randn(1, 3, 9, 14)
    found = look(model, image, at=(5, 13))
    assert list(found) == ["1", "3"]
    features = model[0](image)
    pooled = model[2](features + 1)
    torch.testing.assert_close(found["1"].spatial[0, 0, 5, 13], features.sum())
    assert pooled.shape[-2:] == (3, 4)
    torch.testing.assert_close(found["3"].spatial[0, 0, 1, 3], pooled.sum())
    assert not found["3"].spatial.requires_grad


@pytest.mark.parametrize(
    ("at", "cell"), [((0, 0), (0, 0)), ((7, 15), (1, 3)), ((3, 4), (0, 1)), ((4, 3), (1, 0))]
)
def test_a_coarse_layer_is_asked_for_the_cell_that_covers_the_pixel(model, at, cell):
    found = look(model, torch.randn(1, 3, 8, 16), at)
    assert tuple(found["3"].spatial[0, 0].nonzero()[0].tolist()) == cell


def test_nothing_is_left_on_the_network(model):
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    image = torch.randn(1, 3, 8, 8)
    with pytest.raises(RuntimeError), recorded_inputs(model):
        model(image[:, :2])  # the wrong number of bands
    look(model, image, at=(0, 0))
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before


@pytest.mark.parametrize("at", [(8, 0), (0, 16), (-1, 0)])
def test_a_pixel_outside_the_picture_is_refused(model, at):
    with pytest.raises(InputError, match=r"rows 0\.\.7 and columns 0\.\.15"):
        look(model, torch.randn(1, 3, 8, 16), at)


def test_a_network_without_attention_is_refused():
    with pytest.raises(InputError, match="no attention layer"):
        look(nn.Conv2d(3, 4, 1), torch.randn(1, 3, 8, 8), at=(0, 0))


def test_a_real_network_answers_for_every_layer():
    from pixelwise.networks.factory import create_model

    model = create_model(
        "fcn", "resnet18", num_classes=3, attention={3: "psa_s", 4: "pam"}, pretrained=False
    ).eval()
    image = torch.randn(1, 3, 64, 96)
    found = look(model, image, at=(63, 95))
    assert set(found) == {"backbone.attention.stage3", "backbone.attention.stage4"}
    weights = found["backbone.attention.stage4"].spatial
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    assert found["backbone.attention.stage3"].channel is not None
