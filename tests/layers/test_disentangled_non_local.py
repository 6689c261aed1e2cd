import pytest
import torch
from test_non_local import built, conv, finished

from pixelwise.errors import InputError
from pixelwise.layers.disentangled_non_local import DisentangledNonLocal

PER_PIXEL = {"dnl"}
MODES = ("embedded_gaussian", "dot_product", "concatenation")
OPTIONS_TRIED = [{}, {"norm": True}, {"use_scale": False}, {"hidden": 11}, {"temperature": 0.7}]
VARIANTS = {"dnl": [{"mode": mode, **options} for mode in MODES for options in OPTIONS_TRIED]}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial.sum(1)
    seen = torch.einsum("bij,bdij->bd", weights, conv(layer.value, x))[:, :, None, None]
    return finished(layer, x[:, :, at[0], at[1], None, None], seen)[:, :, 0, 0]


@pytest.mark.parametrize("options", OPTIONS_TRIED, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_maps_give_the_output_with_every_option(mode, options):
    layer = built(DisentangledNonLocal, mode=mode, **options).eval()
    for size in [(1, 1), (1, 7), (6, 5)]:
        x = torch.randn(2, 8, *size).double()
        at = (size[0] - 1, size[1] // 2)
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, layer(x)[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("use_scale", [True, False])
def test_the_softmax_divides_by_temperature_and_width(use_scale):
    layer = built(DisentangledNonLocal, use_scale=use_scale, temperature=0.7)
    x = torch.randn(2, 8, 6, 5).double()
    query, key = (conv(part, x).flatten(2) for part in (layer.query, layer.keys))
    query, key = query - query.mean(2, keepdim=True), key - key.mean(2, keepdim=True)
    scores = torch.einsum("bd,bdm->bm", query[:, :, 7], key) / 0.7
    weights = (scores / (query.shape[1] ** 0.5 if use_scale else 1.0)).softmax(-1)
    torch.testing.assert_close(layer.maps(x, (1, 2)).spatial[:, 0].flatten(1), weights)


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
        ({"temperature": float("nan")}, "temperature=nan: must be a number"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        DisentangledNonLocal(16, **options)
