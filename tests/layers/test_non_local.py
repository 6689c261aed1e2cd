import pytest
import torch
import torch.nn.functional as F

from largest import Largest, Written
from pixelwise.cost import flops
from pixelwise.errors import InputError
from pixelwise.layers.non_local import MODES, NonLocal
from pixelwise.ops.running import choice

PER_PIXEL = {"nonlocal"}
OPTIONS_TRIED = [
    {},
    {"sub_sample": True},
    {"norm": True},
    {"use_scale": False},
    {"hidden": 11},
    {"hidden": 1, "sub_sample": True, "norm": True},
]
VARIANTS = {
    "nonlocal": [{"mode": mode, **options} for mode in MODES for options in OPTIONS_TRIED],
}


def conv(part, x):
    return F.conv2d(x, part.weight[:, :, None, None], part.bias)


def pooled(layer, x):
    return F.max_pool2d(x, (min(2, x.shape[2]), min(2, x.shape[3]))) if layer.sub_sample else x


def finished(layer, x, seen):
    mixed = conv(layer.expand, seen)
    return x + (mixed if layer.norm is None else layer.norm(mixed))


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, 0]
    value = pooled(layer, conv(layer.value, x))
    seen = torch.einsum("bij,bdij->bd", weights, value)[:, :, None, None]
    return finished(layer, x[:, :, at[0], at[1], None, None], seen)[:, :, 0, 0]


def built(cls=NonLocal, channels=8, **options):
    torch.manual_seed(6)
    layer = cls(channels, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


@pytest.mark.parametrize("options", OPTIONS_TRIED, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_maps_give_the_output_with_every_option(mode, options):
    layer = built(mode=mode, **options).eval()
    for size in [(1, 1), (1, 7), (5, 1), (6, 5)]:
        x = torch.randn(2, 8, *size).double()
        at = (size[0] - 1, size[1] // 2)
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, layer(x)[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_in_every_mode(mode, dtype):
    layer = built(mode=mode, channels=16).to(dtype)
    x = torch.randn(1, 16, 40, 30).to(dtype)
    exact = layer.double().plain(x.double())
    found = layer.to(dtype)(x)
    assert found.dtype == dtype
    limit = exact.abs().max() * (8e-3 if dtype == torch.float16 else 6e-2)
    assert (found.double() - exact).abs().max() <= limit


@pytest.mark.parametrize("mode", MODES)
def test_autocast_and_channels_last_in_every_mode(mode):
    layer = built(mode=mode).float()
    x = torch.randn(2, 8, 6, 5)
    exact = layer.plain(x)
    last = layer(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, exact, rtol=1e-4, atol=1e-5)
    for image in (x, x.bfloat16()):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = layer(image)
            maps = layer.maps(image, (0, 0)).spatial
        assert found.dtype == image.dtype
        assert torch.isfinite(maps).all()
        torch.testing.assert_close(found.float(), exact, rtol=0.1, atol=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_export_in_every_mode(mode):
    layer = built(mode=mode, norm=True, sub_sample=True)
    x = torch.randn(2, 8, 6, 5).double()
    free = {2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
    program = torch.export.export(layer.eval(), (x,), dynamic_shapes=(free,)).module()
    for size in [(6, 5), (9, 4)]:
        x = torch.randn(2, 8, *size).double()
        torch.testing.assert_close(program(x), layer(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_all_pairs_never_exist(mode, monkeypatch):
    monkeypatch.setattr("pixelwise.ops.running.blocks.PRODUCT_BLOCK", 1 << 16)
    monkeypatch.setattr("pixelwise.ops.running.blocks.PASS_BLOCK", 1 << 16)
    layer = NonLocal(8, mode=mode)
    x = torch.randn(1, 8, 40, 40, requires_grad=True)
    with Largest() as seen:
        layer(x).square().sum().backward()
    assert seen.elements <= 1 << 16


@pytest.mark.parametrize(
    ("mode", "matrices"), [("embedded_gaussian", 2), ("gaussian", 2), ("dot_product", 1)]
)
@pytest.mark.parametrize("training", [False, True])
def test_the_plain_form_scales_in_place(mode, matrices, training):
    """Scores, and a softmax where there is one: what is compared with ours costs no more."""
    layer = built(channels=4, mode=mode)
    x = torch.randn(1, 4, 12, 12, dtype=torch.float64, requires_grad=training)
    with torch.set_grad_enabled(training), Written(144 * 144) as seen, choice.forced(layer="plain"):
        layer(x)
    assert seen.count == matrices


@pytest.mark.parametrize("mode", MODES)
def test_cost_grows_as_the_mode_says(mode):
    layer = NonLocal(64, mode=mode).to("meta")
    less, more = (flops(layer, torch.empty(1, 64, s, s, device="meta")) for s in (256, 512))
    assert more / less == pytest.approx(4**layer.cost_exponent, rel=0.05)
    assert NonLocal.cost_exponent == 2.0
    assert layer.cost_exponent == (2.0 if "gaussian" in mode else 1.0)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_identity_at_initialisation(mode, norm):
    x = torch.randn(2, 16, 6, 5)
    assert torch.equal(NonLocal(16, mode=mode, norm=norm)(x), x)
    assert not torch.equal(NonLocal(16, mode=mode, norm=norm, zero_start=False)(x), x)


def test_projections_start_narrow():
    layer = NonLocal(64, mode="concatenation")
    for part in (layer.query, layer.keys, layer.value):
        assert part.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not part.bias.any()
    assert layer.score.weight.std().item() == pytest.approx(2**0.5, rel=0.3)


def test_gaussian_maps_are_distributions():
    for mode in ("embedded_gaussian", "gaussian"):
        weights = NonLocal(16, mode=mode).maps(torch.randn(2, 16, 6, 5), (5, 4)).spatial
        torch.testing.assert_close(weights.sum((2, 3)), torch.ones(2, 1))


def test_map_of_a_pooled_key_is_half_as_large():
    layer = NonLocal(16, sub_sample=True)
    assert layer.maps(torch.randn(2, 16, 7, 1), (6, 0)).spatial.shape == (2, 1, 3, 1)


@pytest.mark.parametrize("middle", ["", ".0"])
def test_names_of_mmcv(middle):
    ours = NonLocal(16, mode="concatenation", hidden=5, norm=True, sub_sample=middle != "")
    layout = {"concat_project.conv.weight": torch.randn(1, 10, 1, 1)}
    for name in ("theta", f"phi{middle}", f"g{middle}"):
        layout[f"{name}.conv.weight"] = torch.randn(5, 16, 1, 1)
        layout[f"{name}.conv.bias"] = torch.randn(5)
    layout["conv_out.conv.weight"] = torch.randn(16, 5, 1, 1)
    for name in ("weight", "bias", "running_mean", "running_var"):
        layout[f"conv_out.bn.{name}"] = torch.rand(16)
    layout["conv_out.bn.num_batches_tracked"] = torch.tensor(7)
    ours.load_reference(layout)
    assert torch.equal(ours.value.weight, layout[f"g{middle}.conv.weight"][:, :, 0, 0])
    assert torch.equal(ours.norm.running_var, layout["conv_out.bn.running_var"])
    with pytest.raises(InputError, match=r"left over: conv_out\.bn"):
        NonLocal(16, mode="concatenation", hidden=5).load_reference(layout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: must be at least 1"),
        ({"reduction": 17}, "reduction=17: must not exceed channels=16; lower it"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"mode": "cosine"}, "mode='cosine': must be one of 'embedded_gaussian', 'gaussian'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        NonLocal(16, **options)
