"""Plain forms give the numbers of the layers: outputs, all gradients, and what training changes."""

import copy

import pytest
import torch

from pixelwise.benchmarks import plain
from pixelwise.benchmarks.cases import SEVERAL, parse_case
from pixelwise.benchmarks.plain.network import plain_network
from pixelwise.benchmarks.subject import build, inputs, shapes
from pixelwise.layers.registry import available
from pixelwise.networks.factory import create_model

SIZE = (2, 16, 8, 10)
SMALL = {
    "acmix_window": "acmix_window:window_size=3,shift=1",
    "isa": "isa:down_factors=[[2,3]]",
    "psanet": "psanet:reduction=1,mask_size=[5,7]",
}
OTHERS = (
    "acmix:stride=2",
    "bam:variant=paper",
    "cbam:pools=[max],spatial=false",
    "coord:shared=true",
    "deform:modulation=false",
    "dnl:mode=dot_product",
    "ema:gradient=true",
    "fpa:variant=javeywang",
    "gau:variant=javeywang",
    "gc:pooling=avg,fusions=[mul,add]",
    "nonlocal:use_scale=false",
    "nonlocal:sub_sample=true",
    "ocr:pool=2",
    "psa_p:variant=paper",
    "psa_s:variant=paper",
    "psanet:reduction=1,mask_size=full",
    "psanet:mask_size=[5,7],directions=collect,concatenate=true",
    "scse:fusion=max",
    "se:add_max=true,norm=true,activation=silu,gate=hard_sigmoid",
    "self_attention:pool=2",
)
NAMES = [SMALL.get(key, key) for key in available()] + [
    name for names in SEVERAL.values() for name in names if "full" not in name
]


def outcome(module, function, given):
    """Output, gradients and buffers; dropout and cotangent are the same every time."""
    images = [x.clone().requires_grad_() for x in given]
    torch.manual_seed(5)
    y = function(*images)
    learnt = [p for p in module.parameters() if p.requires_grad]
    cotangent = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(6))
    gradients = torch.autograd.grad(y, [*images, *learnt], cotangent, allow_unused=True)
    return [y, *gradients, *(b for b in module.buffers() if b.is_floating_point())]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        if a is None or b is None:
            assert a is b
        else:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", dict.fromkeys([*NAMES, *OTHERS]))
def test_plain_form_equals_the_layer(name, training):
    torch.manual_seed(0)
    case = parse_case(name)
    layer = build(case, SIZE, backbone="").double().train(training)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    given = inputs(shapes(case, layer, SIZE, training=training), dtype=torch.float64)
    twin = copy.deepcopy(layer)
    theirs = outcome(twin, lambda *xs: plain.FORMS[case.key](twin, *xs), given)
    assert_same(outcome(layer, layer, given), theirs)


def test_every_layer_has_a_plain_form():
    assert set(plain.FORMS) == set(available())


@pytest.mark.parametrize("arch", ["danet", "psanet", "encnet", "ann", "attention_unet"])
def test_plain_network_equals_the_network(arch):
    torch.manual_seed(0)
    model = create_model(arch, "resnet18", num_classes=3).double().eval()
    image = torch.randn(1, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        ours = model(image)
        with plain_network(model):
            theirs = model(image)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_plain_network_runs_plain_layers_and_leaves_none_behind(monkeypatch):
    seen = []
    form = plain.FORMS["pam"]
    monkeypatch.setitem(plain.FORMS, "pam", lambda layer, x: seen.append(layer) or form(layer, x))
    model = create_model("danet", "resnet18", num_classes=3).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad(), plain_network(model):
        model(image)
    assert seen == [model.decoder.position]
    model(image)
    assert len(seen) == 1
