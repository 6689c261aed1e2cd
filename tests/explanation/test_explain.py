from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from largest import Largest
from pixelwise.errors import InputError
from pixelwise.explanation.explain import explain
from pixelwise.explanation.question import one_picture
from pixelwise.insertion.insert import insert
from pixelwise.layers.base import AttentionLayer, FusionLayer
from pixelwise.layers.registry import available, create
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available as decoders
from pixelwise.ops.running import blocks

ATTENDING = [k for k, c in available().items() if issubclass(c, AttentionLayer | FusionLayer)]
OPTIONS = {
    "bam": {"reduction": 4},
    "cbam": {"reduction": 4},
    "spatial_from_channel": {"reduction": 4},
    "encoding": {"codes": 8},
    "ema": {"bases": 8},
    "emsa": {"groups": 4},
    "isa": {"down_factors": ((2, 2), (4, 2))},
    "psanet": {"mask_size": (3, 5), "shrink": 1},
    "external": {"slots": 6},
    "scsa": {"heads": 2, "window_size": 3},
    "sge": {"groups": 4},
}
PIXEL = {
    *("acmix", "acmix_window", "crisscross", "deform", "dnl", "ema", "isa", "nonlocal", "ocr"),
    *("agent", "axial", "biformer", "cga", "cot", "dat", "double", "msda", "natten", "pam"),
    *("psanet", "self_attention", "ss2d"),
}
CHANNEL = {"cam", "eca", "gau", "se", "sk"}
SUMMED = {"deform", "dnl", "double", "ema", "encoding", "hamburger", "ocr", "psanet", "ss2d"}
MAPS = {"rollout": False, "deletion": False}


class Net(nn.Module):
    """A layer at half the picture's resolution, between two convolutions."""

    def __init__(self, layer, channels=16):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.layer = layer
        self.last = nn.LazyConv2d(4, 3, padding=1)

    def forward(self, image):
        x = self.first(image)
        given = (x, x[:, :5]) if isinstance(self.layer, FusionLayer) else (x,)
        given = (x, x[:, :, ::2, ::2]) if getattr(self.layer, "key", "") == "gau" else given
        given = (x, x[:, :, ::2, ::2]) if getattr(self.layer, "key", "") == "gate" else given
        return self.last(self.layer(*given))


def net(key, **options):
    torch.manual_seed(0)
    model = Net(create(key, 16, **{**OPTIONS.get(key, {}), **options})).eval()
    with torch.no_grad():
        model(picture())
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def picture(height=16, width=32):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("key", ATTENDING)
def test_every_layer_is_explained_by_its_own_map(key):
    model = net(key)
    model.train()
    model.first.eval()  # modes may differ
    before = state(model)
    (found,) = explain(model, picture(), (9, 30), **MAPS).maps
    assert (found.name, found.key) == ("layer", key)
    assert found.kind == ("pixel" if key in PIXEL else "channel" if key in CHANNEL else "shared")
    assert found.at == (4, 15)
    assert found.seconds > 0
    assert found.peak_bytes > 0
    assert [m.training for m in (model, model.first, model.layer)] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    received = []
    hook = model.layer.register_forward_pre_hook(lambda _, given: received.extend(given))
    with torch.no_grad():
        model(picture())
        hook.remove()
        maps = model.layer.maps(*received, at=(4, 15))
    if found.spatial is not None:
        heads = maps.spatial[0]
        if key == "ss2d":  # signs differ between channels, so sizes are joined
            heads = model.layer.joined_heads(heads, received[0], (4, 15))
        wanted = heads.sum(0) if key in SUMMED else heads.mean(0)
        torch.testing.assert_close(found.spatial, wanted)
        assert found.size == found.spatial.shape == (8, 16)
    if found.channel is not None:
        wanted = maps.channel[0].mean(0) if maps.channel.ndim == 3 else maps.channel[0]
        torch.testing.assert_close(found.channel, wanted)
    assert (found.spatial is None) == (maps.spatial is None)
    assert (found.channel is None) == (maps.channel is None)


NETWORKS = {
    "acmix_resnet": ["acmix"] * 4,
    "ann": ["binned_attention"] * 2,
    "attention_unet": ["gate"] * 4,
    "ccnet": ["crisscross"],
    "danet": ["pam", "cam"],
    "dnlnet": ["dnl"],
    "emanet": ["ema"],
    "encnet": ["encoding"],
    "gcnet": ["gc"],
    "isanet": ["isa"],
    "nonlocal": ["nonlocal"],
    "ocrnet": ["ocr"],
    "pan": ["fpa", "gau", "gau", "gau"],
    "psanet": ["psanet"],
    "segnext": ["hamburger"],
}
"""Those without a layer of their own: apcnet, bisenetv2, deeplabv3plus, dmnet, dpt, fcn, fpn,
hrnetv2, linear, lr_aspp, pspnet, segformer, setr, simple_baseline, spnet, unet, upernet."""
WITHOUT = {
    "apcnet",
    "bisenetv2",
    "deeplabv3plus",
    "dmnet",
    "dpt",
    "fcn",
    "fpn",
    "hrnetv2",
    "linear",
    "lr_aspp",
    "simple_baseline",
    "spnet",
    "pspnet",
    "segformer",
    "setr",
    "unet",
    "upernet",
}


def test_every_network_is_listed():
    assert {*NETWORKS, *WITHOUT} - {"acmix_resnet"} == {*decoders()}


def small(arch, **options):
    torch.manual_seed(0)
    return create_model(arch, "test_resnet", num_classes=4, **options)


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_network_with_attention_is_explained(arch):
    model = small(arch).train()
    found = explain(model, picture(32, 48), (31, 47), **MAPS)
    assert [one.key for one in found.maps] == NETWORKS[arch]
    for one in found.maps:
        assert all(place < side for place, side in zip(one.at, one.size, strict=True))
        values = one.channel if one.spatial is None else one.spatial
        assert values.isfinite().all()
        if one.kind == "pixel" and one.key not in ("ema", "psanet", "dnl"):
            assert one.spatial.sum() <= 1 + 1e-5
    logits = model.eval()(picture(32, 48))[0, :, 31, 47].softmax(0)
    assert found.class_index == logits.argmax()
    assert found.probability == pytest.approx(logits.max().item(), rel=1e-4)


def test_convolutions_that_attend_are_explained():
    model = small("fcn", convolution="deform@3,4")
    found = explain(model, picture(64, 64), (40, 9), **MAPS)
    assert [one.key for one in found.maps] == ["deform"] * 2
    assert found.maps[0].at == (5, 1)
    assert found.maps[0].spatial.sum() == pytest.approx(9 / 2)  # taps, each half open at the start


def test_a_strided_layer_is_asked_for_its_output_pixel():
    model = net("deform", stride=2)
    (found,) = explain(model, picture(), (9, 30), **MAPS).maps
    assert found.at == (2, 7)
    assert found.size == (8, 16)


def test_a_padded_picture():
    model = small("nonlocal", output_stride=8)
    model.backbone.multiple = 48
    (found,) = explain(model, picture(64, 80), (63, 79), **MAPS).maps
    assert found.size == (12, 12)
    assert found.at == (7, 9)
    assert found.covers == (96, 96)
    halved = nn.Sequential(nn.AvgPool2d(2), model)  # pads what is half as large
    (found,) = explain(halved, picture(64, 80), (63, 79), **MAPS).maps
    assert (found.size, found.at, found.covers) == ((6, 6), (3, 4), (96, 96))


def test_a_map_padded_by_the_decoder():
    found = explain(small("pan"), picture(64, 96), (63, 95), **MAPS).maps[0]
    assert found.size == (8, 8)
    assert found.at == (3, 5)
    assert found.covers == (128, 128)


def test_calls_at_several_scales():
    model = small("ocrnet", output_stride=8, scales=(0.5, 1.0))
    model.backbone.multiple = 16
    found = explain(model, picture(40, 64), (39, 63), **MAPS).maps
    assert [(one.name, one.size, one.at) for one in found] == [
        ("decoder.context", (6, 8), (4, 7)),
        ("decoder.context#2", (4, 4), (2, 3)),
    ]
    assert [one.covers for one in found] == [(48, 64), (64, 64)]


def test_an_inserted_layer_has_the_name_of_its_place_and_a_gain():
    torch.manual_seed(0)
    host = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 1))
    inserted = insert(host, {"0": "psa_s"}, prove=False)
    (found,) = explain(host, picture(17, 33), (16, 32), **MAPS).maps
    assert (found.name, found.key, found.gain, found.at) == ("0", "psa_s", 0.0, (7, 15))
    (gain,) = [p for n, p in host.named_parameters() if n.endswith("gain")]
    nn.init.constant_(gain, -0.5)
    assert explain(host, picture(17, 33), (16, 32), **MAPS).maps[0].gain == 0.5
    assert inserted.host is host


class Twice(nn.Module):
    """The same layer, called once by position and once by name; what follows writes over x."""

    def __init__(self, form):
        super().__init__()
        self.layer, self.form = create("pam", 16), form
        self.first, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 4, 1)

    def forward(self, image):
        x = self.first(image)
        y = self.layer(x)
        x.zero_()
        return self.form(self.last(self.layer(x=y)))


FORMS = {
    "tensor": lambda y: y,
    "coarse": lambda y: nn.functional.avg_pool2d(y, 2),
    "mapping": lambda y: {"aux": y * 0, "out": y},
    "object": lambda y: SimpleNamespace(logits=y),
    "tuple": lambda y: (y, y * 0),
    "picture": lambda y: y.mean((2, 3)),
}


@pytest.mark.parametrize("form", FORMS)
def test_several_calls_and_forms_of_output(form):
    torch.manual_seed(0)
    model = Twice(FORMS[form]).eval()
    image = picture(6, 8)
    found = explain(model, image[0], (5, 6), **MAPS)
    assert [one.name for one in found.maps] == ["layer", "layer#2"]
    with torch.no_grad():
        x = model.first(image)
        wanted = [model.layer.maps(x, (5, 6)), model.layer.maps(model.layer(x), (5, 6))]
        logits = model.last(model.layer(model.layer(x)))
    for one, other in zip(found.maps, wanted, strict=True):
        torch.testing.assert_close(one.spatial, other.spatial[0, 0])
    if form == "coarse":
        logits = nn.functional.avg_pool2d(logits, 2)
        logits = nn.functional.interpolate(logits, (6, 8), mode="bilinear")
    chosen = logits.mean((2, 3))[0] if form == "picture" else logits[0, :, 5, 6]
    assert found.class_index == chosen.argmax()
    assert found.probability == pytest.approx(chosen.softmax(0).max().item(), rel=1e-5)
    assert found.class_name == f"class {found.class_index}"


def test_forward_keeps_its_fused_form(monkeypatch):
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1 << 12)
    monkeypatch.setattr(blocks, "PASS_BLOCK", 1 << 12)
    model = Net(create("pam", 16))
    with torch.no_grad():
        model(picture())
    with Largest() as seen:
        explain(model, picture(80, 64), (70, 10), **MAPS)
    assert seen.elements <= 16 * 40 * 32 * 4 < (40 * 32) ** 2 / 16


def test_names_and_picture_come_from_the_config():
    names = ("sky", "road", "tree", "car")
    model = small("danet", names=names, mean=(0.2, 0.3, 0.4), std=(0.5, 0.5, 0.5))
    raw = torch.randint(0, 256, (3, 32, 32), generator=torch.Generator().manual_seed(0))
    image = (raw / 255 - torch.tensor([0.2, 0.3, 0.4])[:, None, None]) / 0.5
    found = explain(model, image, (3, 4), layers=["decoder.channel"], **MAPS)
    assert np.array_equal(found.picture, raw.permute(1, 2, 0).byte().numpy())
    assert found.class_name == names[found.class_index]
    assert [one.kind for one in found.maps] == ["channel"]
    other = np.zeros((32, 32, 3), np.uint8)
    assert explain(model, image, (3, 4), picture=other, **MAPS).picture is other
    with pytest.raises(InputError, match="picture has 4 rows"):
        explain(model, image, (3, 4), picture=other[:4], **MAPS)


def test_one_logit_stands_for_two_classes():
    model = create_model("danet", "test_resnet", num_classes=1, task="binary", names=("no", "yes"))
    found = explain(model, picture(32, 32), (3, 4), **MAPS)
    logit = model.eval()(picture(32, 32))[0, 0, 3, 4]
    assert found.class_index == int(logit > 0)
    assert found.class_name == ("yes" if logit > 0 else "no")
    assert found.probability == pytest.approx(logit.abs().sigmoid().item(), rel=1e-5)


def test_everything_at_once_leaves_nothing_on_the_network():
    model = net("pam")
    model.train()
    before, variables = state(model), {n: set(vars(m)) for n, m in model.named_modules()}
    found = explain(model, picture(), (3, 5), class_maps=True, class_index=2)
    assert [one.class_index for one in found.class_maps] == [2, 2]
    assert [one.name for one in found.deletions] == ["layer"]
    assert found.rollout is None
    assert found.seconds > found.deletions[0].seconds
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {n: set(vars(m)) for n, m in model.named_modules()} == variables
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    with torch.inference_mode():
        again = explain(model, picture(), (3, 5), class_maps=True, class_index=2)
    torch.testing.assert_close(again.maps[0].spatial, found.maps[0].spatial)
    assert again.deletions[0].random == found.deletions[0].random


def test_nothing_is_left_after_an_error():
    model = net("pam").train()
    with pytest.raises(RuntimeError, match="channels"):
        explain(model, torch.randn(1, 2, 8, 8), (0, 0))
    assert model.training
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


def test_compiled_networks_and_half_types():
    model = net("pam").eval()
    wanted = explain(model, picture(), (3, 5), **MAPS).maps[0].spatial
    whole = torch.compile(net("pam").eval(), backend="eager")
    inside = net("pam").eval()
    inside.compile(backend="eager")
    for other in (whole, inside):
        found = explain(other, picture(), (3, 5), **MAPS)
        assert [one.name for one in found.maps] == ["layer"]
        torch.testing.assert_close(found.maps[0].spatial, wanted)
    half = explain(model.half(), picture(), (3, 5))
    torch.testing.assert_close(half.maps[0].spatial, wanted, atol=1e-3, rtol=1e-2)
    assert half.deletions[0].attended[0] == pytest.approx(half.probability, rel=1e-2)


def test_a_single_pixel():
    for key in ("pam", "isa", "psanet", "deform"):
        found = explain(net(key), picture(1, 1), (0, 0))
        assert found.maps[0].size == (1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": (16, 0)}, r"rows 0\.\.15 and columns 0\.\.31"),
        ({"at": (0, -1)}, "name a pixel inside"),
        ({"layers": ["lair"]}, "layer='lair': unknown layer with attention; did you mean 'layer'"),
        ({"layers": ["idle"]}, "layer 'idle' was not called"),
        ({"class_index": 4}, "classes 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    model = net("pam")
    model.idle = create("gc", 16)
    with pytest.raises(InputError, match=message):
        explain(model, **{"image": picture(), "at": (0, 0), **MAPS, **change})


@pytest.mark.parametrize(
    "image", [torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4).byte(), torch.zeros(4, 4)]
)
def test_what_is_not_one_picture_is_refused(image):
    with pytest.raises(InputError, match=r"must be one picture, \(1, c, h, w\) or \(c, h, w\)"):
        one_picture(image)


def test_a_network_without_logits_is_refused():
    with pytest.raises(InputError, match="wrap it"):
        explain(Twice(lambda y: {"masks": y}), picture(), (0, 0))
    with pytest.raises(InputError, match=r"shape \(1, 4, 16\)"):
        explain(Twice(lambda y: y[..., 0]), picture(), (0, 0))
    with pytest.raises(InputError, match=r"torch.int64: must be logits"):
        explain(Twice(lambda y: y.argmax(1, keepdim=True)), picture(), (0, 0))
