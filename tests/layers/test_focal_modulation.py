import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.focal_modulation import FocalModulation

VARIANTS = {
    "focal": [
        {"window": 5, "levels": 3, "growth": 0, "norm": True, "normalise": True},
        {"window": 1, "levels": 1, "growth": 3, "bias": False},
    ]
}


def contexts(layer, x):
    """What surrounds each pixel: level by level, and the whole map."""
    channels = layer.channels
    weight = layer.project.weight[channels : 2 * channels]
    z = torch.einsum("oc,bcij->boij", weight, x)
    if layer.project.bias is not None:
        z = z + layer.project.bias[channels : 2 * channels, None, None]
    found = []
    for level in layer.contexts:
        side = level[0].weight.shape[-1]
        z = F.gelu(F.conv2d(z, level[0].weight, padding=side // 2, groups=channels))
        found.append(z)
    return [*found, F.gelu(z.mean((2, 3), keepdim=True)).expand_as(z)]


def reconstruct(layer, x, at):
    gates = layer.maps(x, at).spatial
    total = sum(
        gate[:, None] * z for gate, z in zip(gates.unbind(1), contexts(layer, x), strict=True)
    )
    here, pixel = total[:, :, at[0], at[1]] * layer.share, x[:, :, at[0], at[1]]
    query = layer.project(pixel)[:, : layer.channels]
    y = query * layer.modulate(here[:, :, None, None])[:, :, 0, 0]
    return layer.expand(y if layer.norm is None else layer.norm(y))


@pytest.mark.parametrize("options", VARIANTS["focal"])
def test_other_options_give_what_the_equations_say(options):
    torch.manual_seed(0)
    layer = FocalModulation(6, **options).double().eval()
    x = torch.randn(2, 6, 5, 4).double()
    found = reconstruct(layer, x, (4, 1))
    torch.testing.assert_close(found, layer(x)[:, :, 4, 1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ({"window": 3, "levels": 3}, [3, 5, 7]),
        ({"window": 9, "levels": 2, "growth": 4}, [9, 13]),
        ({"window": 5, "levels": 2, "growth": 0}, [5, 5]),
        ({"window": 7, "levels": 1, "growth": 1}, [7]),
    ],
)
def test_kernels_grow_from_level_to_level(options, sides):
    layer = FocalModulation(8, **options)
    assert [level[0].kernel_size for level in layer.contexts] == [(s, s) for s in sides]


def test_without_the_gate_of_the_whole_map_a_pixel_sees_the_kernels_alone():
    torch.manual_seed(0)
    layer = FocalModulation(4).double()  # kernels of 3 and 5: together 7 x 7
    x = torch.randn(1, 4, 12, 11).double().requires_grad_()

    def reached():
        (gradient,) = torch.autograd.grad(layer(x)[0, :, 6, 5].sum(), x)
        return int((gradient.abs().sum(1) > 0).sum())

    assert reached() == 12 * 11
    with torch.no_grad():
        layer.project.weight[-1].zero_()
        layer.project.bias[-1].zero_()
    assert reached() == 7 * 7


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    layer, x = FocalModulation(8, dropout=0.5), torch.randn(1, 8, 6, 5)
    assert 0.3 < (layer(x) == 0).float().mean() < 0.7
    assert (layer.eval()(x) != 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window=0: must be at least 1"),
        ({"window": 4}, "window=4: must be odd; add or take 1"),
        ({"levels": 0}, "levels=0: must be at least 1"),
        ({"growth": -2}, "growth=-2: must be at least 0"),
        ({"growth": 1}, "growth=1: must be even, so that each kernel has a middle; add or"),
        ({"dropout": 1.5}, "dropout=1.5: must be from 0 to 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        FocalModulation(16, **options)
