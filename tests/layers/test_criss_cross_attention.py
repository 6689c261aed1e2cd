import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.criss_cross_attention import CrissCrossAttention

PER_PIXEL = {"crisscross"}
VARIANTS = {"crisscross": [{"recurrence": 1, "hidden": 5}, {"recurrence": 3}]}
SIDES = (1024, 2048)  # projections, which are linear, weigh little from here on


def plain(layer, x):
    """One step, as a matrix of all pairs where only the cross is seen."""
    query, key, value = (
        torch.einsum("oc,bchw->bohw", part.weight, x) + part.bias[:, None, None]
        for part in (layer.query, layer.keys, layer.value)
    )
    h, w = x.shape[2:]
    row, column = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
    off = (row[:, None] != row) & (column[:, None] != column)
    scores = torch.einsum("bdn,bdm->bnm", query.flatten(2), key.flatten(2))
    weights = scores.masked_fill(off, float("-inf")).softmax(-1)
    return x + layer.gain * torch.einsum("bnm,bcm->bcn", weights, value.flatten(2)).view_as(x)


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, 0]
    for _ in range(layer.recurrence - 1):
        x = plain(layer, x)
    value = torch.einsum("oc,bcij->boij", layer.value.weight, x) + layer.value.bias[:, None, None]
    return x[:, :, at[0], at[1]] + layer.gain * torch.einsum("bij,boij->bo", weights, value)


def built(channels, **options):
    torch.manual_seed(2)
    layer = CrissCrossAttention(channels, **options).double()
    torch.nn.init.constant_(layer.gain, 0.7)
    return layer


@pytest.mark.parametrize("recurrence", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (9, 1), (6, 5)], ids=str)
def test_steps_equal_the_plain_form(recurrence, size):
    layer = built(8, recurrence=recurrence)
    x = wanted = torch.randn(2, 8, *size).double()
    for _ in range(recurrence):
        wanted = plain(layer, wanted)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-11, atol=1e-11)
    at = (size[0] - 1, size[1] // 2)
    found = reconstruct(layer, x, at)
    torch.testing.assert_close(found, wanted[:, :, at[0], at[1]], rtol=1e-11, atol=1e-11)


def test_two_steps_reach_every_pixel_and_one_only_the_cross():
    for recurrence, reached in [(1, 6 + 5 - 1), (2, 6 * 5)]:
        layer = built(8, recurrence=recurrence)
        x = torch.randn(1, 8, 6, 5).double().requires_grad_()
        (gradient,) = torch.autograd.grad(layer(x)[0, :, 2, 3].sum(), x)
        assert (gradient.abs().sum(1) > 0).sum() == reached


def test_map_is_a_distribution_on_the_cross():
    spatial = CrissCrossAttention(16).maps(torch.randn(2, 16, 6, 5), at=(4, 1)).spatial[:, 0]
    torch.testing.assert_close(spatial.sum((1, 2)), torch.ones(2))
    assert (spatial[:, 4] > 0).all()
    assert (spatial[:, :, 1] > 0).all()
    assert (spatial > 0).sum() == 2 * (6 + 5 - 1)


def test_identity_at_initialisation():
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(CrissCrossAttention(16)(x), x)


@pytest.mark.parametrize("gamma", ["gamma", "gamma.scale"])
def test_names_of_the_authors_and_of_mmcv(gamma):
    ours = CrissCrossAttention(16, hidden=5)
    layout = {gamma: torch.tensor(0.7) if "scale" in gamma else torch.tensor([0.7])}
    for name, width in (("query", 5), ("key", 5), ("value", 16)):
        layout[f"{name}_conv.weight"] = torch.randn(width, 16, 1, 1)
        layout[f"{name}_conv.bias"] = torch.randn(width)
    ours.load_reference(layout)
    assert ours.gain.item() == pytest.approx(0.7)
    assert torch.equal(ours.keys.weight, layout["key_conv.weight"][:, :, 0, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1"),
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"recurrence": 0}, "recurrence=0: must be at least 1; raise recurrence"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        CrissCrossAttention(16, **options)
