import pytest
import torch
from test_non_local import built, conv, finished, likeness

from pixelwise.errors import InputError
from pixelwise.layers.disentangled_non_local import DisentangledNonLocal

PER_PIXEL = {"dnl"}
MODES = ("embedded_gaussian", "dot_product", "concatenation")


def plain(layer, x, use_scale=True, temperature=0.05):
    """The equations, with matrices of all pairs."""
    query, key, value = (
        conv(part, x).flatten(2) for part in (layer.query, layer.keys, layer.value)
    )
    query, key = query - query.mean(2, keepdim=True), key - key.mean(2, keepdim=True)
    divisor = temperature * (query.shape[1] ** 0.5 if use_scale else 1.0)
    weights = likeness(layer, query, key, 1.0 if layer.mode == "dot_product" else 1 / divisor)
    mask = conv(layer.mask, x).flatten(2).softmax(-1)
    seen = torch.einsum("bnm,bdm->bdn", weights + mask, value)
    return finished(layer, x, seen.view(len(x), -1, *x.shape[2:]))


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial.sum(1)
    seen = torch.einsum("bij,bdij->bd", weights, conv(layer.value, x))[:, :, None, None]
    return finished(layer, x[:, :, at[0], at[1], None, None], seen)[:, :, 0, 0]


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": True}, {"use_scale": False}, {"hidden": 11}, {"temperature": 0.7}],
    ids=str,
)
@pytest.mark.parametrize("mode", MODES)
def test_outputs_and_gradients_equal_the_plain_form(mode, options):
    layer = built(DisentangledNonLocal, mode=mode, **options).eval()
    known = {name: options[name] for name in ("use_scale", "temperature") if name in options}
    for size in [(1, 1), (1, 7), (6, 5)]:
        x = torch.randn(2, 8, *size).double().requires_grad_()
        found, wanted = layer(x), plain(layer, x, **known)
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
        sources, g = [x, *layer.parameters()], torch.randn_like(x)
        ours = torch.autograd.grad(found, sources, g)
        theirs = torch.autograd.grad(wanted, sources, g)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
        at = (size[0] - 1, size[1] // 2)
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, wanted[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


def test_both_maps_are_distributions_and_the_second_is_shared():
    layer = built(DisentangledNonLocal).float()
    x = torch.randn(2, 8, 6, 5)
    one, other = layer.maps(x, (0, 0)).spatial, layer.maps(x, (5, 4)).spatial
    assert one.shape == (2, 2, 6, 5)
    torch.testing.assert_close(one.sum((2, 3)), torch.ones(2, 2))
    assert torch.equal(one[:, 1], other[:, 1])
    assert not torch.equal(one[:, 0], other[:, 0])


def test_shifts_have_no_effect():
    layer = built(DisentangledNonLocal)
    x = torch.randn(1, 8, 4, 5).double()
    before = layer(x)
    with torch.no_grad():
        for part in (layer.query, layer.keys, layer.mask):
            part.bias.add_(3.0)
    torch.testing.assert_close(layer(x), before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", [False, True])
def test_identity_at_initialisation(norm):
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(DisentangledNonLocal(16, norm=norm)(x), x)


def test_names_of_mmsegmentation():
    ours = DisentangledNonLocal(16, hidden=5)
    layout = {"conv_mask.weight": torch.randn(1, 16, 1, 1), "conv_mask.bias": torch.randn(1)}
    for name in ("theta", "phi", "g"):
        layout[f"{name}.conv.weight"] = torch.randn(5, 16, 1, 1)
        layout[f"{name}.conv.bias"] = torch.randn(5)
    layout["conv_out.conv.weight"] = torch.randn(16, 5, 1, 1)
    layout["conv_out.conv.bias"] = torch.randn(16)
    ours.load_reference(layout)
    assert torch.equal(ours.mask.weight, layout["conv_mask.weight"][:, :, 0, 0])
    assert torch.equal(ours.expand.bias, layout["conv_out.conv.bias"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        (
            {"mode": "gaussian"},
            "mode='gaussian': must be one of 'embedded_gaussian', ",
        ),
        ({"temperature": 0.0}, r"temperature=0\.0: must be above 0"),
        ({"temperature": float("nan")}, "temperature=nan: must be above 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        DisentangledNonLocal(16, **options)
