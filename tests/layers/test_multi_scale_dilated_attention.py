import math

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.multi_scale_dilated_attention import MultiScaleDilatedAttention

PER_PIXEL = {"msda"}
OPTIONS = {"msda": {"heads": 4, "dilations": (1, 3)}}
VARIANTS = {
    "msda": [
        {"heads": 2, "dilations": (2,), "kernel_size": 5, "bias": True, "scale": 0.3},
        {"heads": 4, "dilations": (2, 1, 3, 1), "kernel_size": 1},
    ]
}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    value = layer.project(x).chunk(3, dim=1)[2].unflatten(1, (layer.heads, -1))
    return layer.expand(torch.einsum("bmij,bmdij->bmd", weights, value).flatten(1))


def random(**options):
    torch.manual_seed(0)
    layer = MultiScaleDilatedAttention(8, **{"heads": 4, "dilations": (1, 3), **options}).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (8, 7)], ids=str)
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": True, "scale": 0.3}, {"kernel_size": 5, "dilations": (1, 2, 3, 4)}],
    ids=str,
)
def test_is_what_unfolding_the_padded_map_gives(options, size):
    layer, x = random(**options), torch.randn(2, 8, *size).double()
    query, key, value = layer.project(x).chunk(3, dim=1)
    kernel, groups, seen = layer.kernel_size, len(layer.dilations), []
    for i, dilation in enumerate(layer.dilations):
        q, k, v = (z.chunk(groups, dim=1)[i] for z in (query, key, value))
        k, v = (
            F.unfold(z, kernel, dilation, dilation * (kernel // 2)).unflatten(1, (-1, 2, kernel**2))
            for z in (k, v)
        )
        score = torch.einsum("bmdn,bmdkn->bmkn", q.flatten(2).unflatten(1, (-1, 2)), k)
        weights = (score * layer.scale).softmax(dim=2)
        seen.append(torch.einsum("bmkn,bmdkn->bnmd", weights, v).flatten(2))
    y = layer.expand(torch.cat(seen, dim=2)).mT.reshape(x.shape)
    torch.testing.assert_close(layer(x), y)


def test_zeros_beyond_the_border_take_their_share():
    layer, x = random(dilations=(1,)), torch.randn(1, 8, 9, 9).double()
    shares = layer.maps(x, (0, 0)).spatial.sum((2, 3))
    assert (shares < 0.99).all()
    assert (shares > 0).all()
    inner = layer.maps(x, (4, 4)).spatial.sum((2, 3))
    torch.testing.assert_close(inner, torch.ones_like(inner))


def test_each_group_of_heads_looks_at_its_own_distance():
    layer, x = random(dilations=(1, 4)), torch.randn(1, 8, 9, 9).double()
    near, _, far, _ = (layer.maps(x, (4, 4)).spatial[0] > 0).unbind()
    assert near.nonzero().unique().tolist() == [3, 4, 5]
    assert far.nonzero().unique().tolist() == [0, 4, 8]


def test_the_input_is_left_alone_and_has_a_gradient():
    layer, x = random(), torch.randn(2, 8, 5, 6).double().requires_grad_()
    before = x.detach().clone()
    layer(x).square().sum().backward()
    assert torch.equal(x.detach(), before)
    assert (x.grad != 0).all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_pixel_that_is_no_number_reaches_those_that_see_it_alone(wrong):
    layer = random(dilations=(1, 2))
    x = torch.randn(1, 8, 15, 16, dtype=torch.float64)
    clean = layer(x)
    x[0, 3, 7, 8] = wrong
    y = layer(x)
    reached = torch.zeros(15, 16, dtype=torch.bool)
    for dilation in (1, 2):
        reached[7 - dilation : 8 + dilation : dilation, 8 - dilation : 9 + dilation : dilation] = 1
    assert torch.equal(y.isnan().all(1)[0], reached)
    torch.testing.assert_close(y[..., ~reached], clean[..., ~reached])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"heads": 3, "dilations": (1,)}, "heads=3: must divide 8 channels"),
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"kernel_size": 4}, "kernel_size=4: must be odd, .*; use 5"),
        ({"dilations": (1, 2, 3)}, r"dilations=\(1, 2, 3\): as many as divide heads=4"),
        ({"dilations": ()}, r"dilations=\(\): as many as divide heads=4"),
        ({"dilations": (1, 0)}, "dilations=0: must be at least 1"),
        ({"scale": 0.0}, "scale=0: must be above 0; raise scale, or leave it out"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        MultiScaleDilatedAttention(8, **{"heads": 4, **options})
