import math

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.neighbourhood_attention import NeighbourhoodAttention
from pixelwise.ops.running import blocks, choice

PER_PIXEL = {"natten"}
OPTIONS = {"natten": {"kernel_size": 3}}
VARIANTS = {
    "natten": [
        {"kernel_size": (5, 3), "dilation": (2, 1), "bias": False, "scale": 0.3, "heads": 2},
        {"kernel_size": (4, 3), "stride": (3, 2), "causal": (True, False), "dilation": (1, 2)},
    ]
}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    value = layer.project(x.movedim(1, 3)).movedim(3, 1).chunk(3, dim=1)[2]
    seen = torch.einsum("bmij,bmdij->bmd", weights, value.unflatten(1, (layer.heads, -1)))
    return layer.expand(seen.flatten(1))


def random(channels=8, **options):
    torch.manual_seed(0)
    layer = NeighbourhoodAttention(channels, **{"heads": 2, **options}).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def seen(i, size, kernel, dilation, stride, causal):
    """The places that place i sees, as the specification has it, step by step."""
    group, own = i % dilation, i // dilation
    places = list(range(group, size, dilation))
    n = len(places)
    if causal:
        leader = min((own // stride) * stride + stride - 1, n - 1)
        return [places[j] for j in range(own + 1) if leader - j < kernel]
    if kernel >= n:
        return places
    centre = min((own // stride) * stride + stride // 2, n - 1)
    before, after = kernel // 2, kernel // 2 + kernel % 2 - 1
    centre = min(max(centre, before), n - 1 - after)
    return places[centre - before : centre + after + 1]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 6), (11, 13)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (4, 5), "dilation": (1, 2)},
        {"kernel_size": (3, 4), "stride": (2, 3), "dilation": (3, 1)},
        {"kernel_size": (3, 4), "stride": (2, 1), "causal": True},
        {"kernel_size": 3, "causal": (False, True), "dilation": (1, 4)},
    ],
    ids=str,
)
def test_windows_are_those_of_the_specification(options, size):
    layer, x = random(**options), torch.randn(1, 8, *size).double()
    for at in {(0, 0), (size[0] // 2, size[1] // 3), (size[0] - 1, size[1] - 1)}:
        rows, columns = (
            seen(
                at[i], size[i], layer.kernel_size[i], layer.dilation[i], layer.stride[i],
                layer.causal[i],
            )
            for i in (0, 1)
        )  # fmt: skip
        wanted = torch.zeros(size, dtype=torch.bool)
        wanted[torch.tensor(rows)[:, None], torch.tensor(columns)] = True
        weights = layer.maps(x, at).spatial
        assert torch.equal((weights > 0).all(dim=1)[0], wanted)
        torch.testing.assert_close(weights.sum((2, 3)), torch.ones(1, 2).double())
        torch.testing.assert_close(reconstruct(layer, x, at), layer(x)[:, :, at[0], at[1]])


def test_a_window_as_large_as_the_map_is_attention_to_all():
    layer, x = random(kernel_size=(5, 6)), torch.randn(2, 8, 5, 6).double()
    query, key, value = layer.project(x.flatten(2).mT).unflatten(2, (3, 2, -1)).unbind(2)
    score = torch.einsum("bimd,bjmd->bmij", query, key) / 2
    y = layer.expand(torch.einsum("bmij,bjmd->bimd", score.softmax(-1), value).flatten(2))
    torch.testing.assert_close(layer(x), y.mT.reshape(x.shape))


def test_blocks_do_not_matter(monkeypatch):
    layer, x = random(kernel_size=3), torch.randn(2, 8, 19, 20).double()
    wanted = layer(x)
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1)
    torch.testing.assert_close(layer(x), wanted)


def test_what_a_causal_window_leaves_out_has_no_effect_in_any_form():
    layer = random(kernel_size=(4, 3), stride=(3, 2), causal=(True, False), dilation=(1, 2))
    x = torch.randn(1, 8, 9, 13, dtype=torch.float64)
    x[0, 3, 4, 6] = math.nan
    with choice.forced(layer="plain"):
        wanted = layer(x)
    assert 0 < wanted.isnan().sum() < wanted.numel() / 4
    torch.testing.assert_close(layer(x), wanted, equal_nan=True)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_pixel_that_is_no_number_reaches_those_that_see_it_alone(wrong):
    layer, x = random(kernel_size=3), torch.randn(1, 8, 15, 16, dtype=torch.float64)
    clean = layer(x)
    x[0, 3, 7, 8] = wrong
    y = layer(x)
    reached = torch.zeros(15, 16, dtype=torch.bool)
    reached[6:9, 7:10] = True
    assert torch.equal(y.isnan().all(1)[0], reached)
    torch.testing.assert_close(y[..., ~reached], clean[..., ~reached])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide 8 channels"),
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"dilation": (1, 0)}, "dilation=0: must be at least 1"),
        ({"stride": 0}, "stride=0: must be at least 1"),
        ({"scale": -0.5}, "scale=-0.5: must be above 0; raise scale, or leave it out"),
        ({"kernel_size": 3, "stride": 4}, "stride=4: must be at most kernel_size=3"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        NeighbourhoodAttention(8, **options)
