import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.explanation.class_maps import gradient_map, occlusion_map
from pixelwise.layers.registry import create


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 4, 1),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    ).train()


IMAGE = torch.randn(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def by_hand(network, image, place, score):
    features = network[: place + 1](image).detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(network[place + 1 :](features.clone())), features)
    return (slope.mean((2, 3), keepdim=True) * features).sum(1)[0].relu().detach()


@pytest.mark.parametrize("place", [None, "2"])
def test_features_are_weighed_by_the_pixels_gradient(network, place):
    found = gradient_map(network, IMAGE, (5, 9), class_index=2, place=place)
    wanted = by_hand(network, IMAGE, 3 if place is None else 2, lambda y: y[0, 2, 5, 9])
    torch.testing.assert_close(found.values, wanted)
    assert found.place == ("input of 4" if place is None else "2")
    assert (found.method, found.class_index, found.covers) == ("gradient", 2, (12, 16))
    assert found.peak_bytes > 0
    assert all(p.grad is None for p in network.parameters())
    assert network.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_over_a_class_all_its_pixels_count(network):
    found = gradient_map(network, IMAGE, (5, 9), over="class")
    logits = network(IMAGE)[0]
    index = int(logits[:, 5, 9].argmax())
    assert found.class_index == index
    mask = logits.argmax(0) == index
    torch.testing.assert_close(
        found.values, by_hand(network, IMAGE, 3, lambda y: y[0, index][mask].sum())
    )


def test_the_last_attention_layer_is_the_place():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), create("pam", 8), nn.Conv2d(8, 2, 1))
    found = gradient_map(network, IMAGE, (5, 9), class_index=0)
    assert found.place == "input of 1"
    wanted = by_hand(network, IMAGE, 0, lambda y: y[0, 0, 5, 9])
    torch.testing.assert_close(found.values, wanted)


def test_a_network_without_pixels(network):
    classify = nn.Sequential(*network[:4], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    found = gradient_map(classify, IMAGE, (0, 0), class_index=1)
    assert found.place == "input of 4"
    torch.testing.assert_close(found.values, by_hand(classify, IMAGE, 3, lambda y: y[0, 1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"place": "sixth"}, "module='sixth': unknown module"),
        ({"class_index": 4}, "classes 0 to 3"),
        ({"place": "side"}, "gave no feature maps"),
    ],
)
def test_what_does_not_fit_is_refused(network, options, message):
    network.add_module("side", nn.Identity())
    network.forward = lambda image: nn.Sequential(*list(network)[:6])(image)
    with pytest.raises(InputError, match=message):
        gradient_map(network, IMAGE, (0, 0), **options)


def test_no_place_at_all():
    class Plain(nn.Module):
        def forward(self, image):
            return image * 2

    with pytest.raises(InputError, match="name a module"):
        gradient_map(Plain(), IMAGE, (0, 0))


class Bright(nn.Module):
    """Class 1 as the rows 4 to 7 of columns 8 to 11 are bright."""

    def forward(self, image):
        seen = image[:, :1, 4:8, 8:12].mean((2, 3))
        return torch.cat([torch.zeros_like(seen), seen], dim=1)


def test_what_is_covered_is_what_matters():
    image = torch.zeros(1, 3, 12, 16)
    image[:, :, 4:8, 8:12] = 3.0
    found = occlusion_map(Bright(), image, (0, 0), class_index=1, patches=4)
    wanted = torch.zeros(3, 4)
    wanted[1, 2] = torch.tensor(3.0).sigmoid() - torch.tensor(3.0 * 16 / 192).sigmoid()
    torch.testing.assert_close(found.values, wanted)
    assert (found.method, found.place, found.covers) == (
        "occlusion",
        "patches of 4 pixels",
        (12, 16),
    )
    assert occlusion_map(Bright(), image, (0, 0), patches=3).values.shape == (2, 3)
    with pytest.raises(InputError, match="patches=0"):
        occlusion_map(Bright(), image, (0, 0), patches=0)
