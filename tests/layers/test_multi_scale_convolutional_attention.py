import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.multi_scale_convolutional_attention import MultiScaleConvolutionalAttention

VARIANTS = {"msca": [{"kernel_size": 3, "strips": (5,)}, {"projected": True}]}


def reconstruct(layer, x, at):
    row, column = at
    return x[:, :, row, column] * layer.maps(x, at).spatial[:, :, row, column]


def test_projected_output_follows_from_its_maps():
    layer = MultiScaleConvolutionalAttention(8, projected=True).double()
    x = torch.randn(2, 8, 7, 5).double()
    gated = F.gelu(layer.project_in(x)) * layer.maps(x).spatial
    torch.testing.assert_close(layer(x), x + layer.project_out(gated))


@pytest.mark.parametrize(("options", "reach"), [({}, 12), ({"strips": (9, 3)}, 6)])
def test_a_pixel_is_seen_in_a_square(options, reach):
    layer = MultiScaleConvolutionalAttention(2, **options).double()
    x = torch.randn(1, 2, 29, 31).double()
    other = x.clone()
    other[:, :, 14, 15] += 1.0
    seen = ((layer.maps(x).spatial - layer.maps(other).spatial).abs() > 1e-12).any(1)[0]
    wanted = torch.zeros(29, 31, dtype=torch.bool)
    wanted[14 - reach : 15 + reach, 15 - reach : 16 + reach] = True
    assert torch.equal(seen, wanted)


def test_inside_of_a_map_the_strips_are_one_large_kernel():
    """delta + the outer products of each pair, on what the small square gives."""
    layer = MultiScaleConvolutionalAttention(3).double()
    x = torch.randn(1, 3, 25, 27).double()
    kernel, bias = torch.zeros(3, 1, 21, 21).double(), torch.zeros(3).double()
    kernel[:, :, 10, 10] = 1
    for along, down in zip(layer.along, layer.down, strict=True):
        side = down.weight.shape[2]
        inner = slice(10 - side // 2, 11 + side // 2)
        kernel[:, :, inner, inner] += down.weight * along.weight
        bias += down.bias + down.weight.sum((1, 2, 3)) * along.bias
    context = F.conv2d(layer.near(x), kernel, bias, padding=10, groups=3)
    found = (x * layer.mix(context))[:, :, 10:-10]
    torch.testing.assert_close(found, layer(x)[:, :, 10:-10])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4: must be odd; take one more or one less"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1; raise kernel_size"),
        ({"strips": (7, 8)}, "strips=8: must be odd; take one more or one less"),
        ({"strips": (-1,)}, "strips=-1: must be at least 1; raise strips"),
        ({"strips": ()}, r"strips=\(\): must be 1 to 9 lengths; e.g. \(7, 11, 21\)"),
        ({"strips": (3,) * 10}, "must be 1 to 9 lengths"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        MultiScaleConvolutionalAttention(8, **options)
