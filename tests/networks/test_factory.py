"""Building networks: backbones, strides, attention, names, and what goes wrong."""

import copy
import inspect
import re

import pytest
import torch

from pixelwise.cli.card import options_of
from pixelwise.errors import InputError
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.base import Decoder
from pixelwise.networks.config import attention_plan
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available, check_decoder, resolve

SMALL = "test_resnet"
BACKBONES = ["regnetx_002", "test_vit"]
"""Beside the families of test_matrix.py."""


def tiny(arch="fcn", backbone=SMALL, **options):
    torch.manual_seed(0)
    return create_model(arch, backbone, num_classes=options.pop("num_classes", 4), **options)


@pytest.mark.parametrize("arch", available())
@pytest.mark.parametrize("size", [(64, 64), (65, 49), (33, 120)])
def test_logits_have_the_size_of_the_input(arch, size):
    model = tiny(arch).eval()
    image = torch.randn(2, 3, *size)
    outputs = model.with_auxiliary(image)
    assert model(image).shape == (2, 4, *size)
    torch.testing.assert_close(outputs.logits, model(image))
    assert outputs.auxiliary.keys() == model.auxiliary_weights.keys()
    assert all(extra.shape == (2, 4, *size) for extra in outputs.auxiliary.values())


def picture(*shape):
    b, h, w = shape
    return torch.randn(b, 3, h, w, dtype=torch.float64)


NETWORK_NAMES = {
    "danet": "DANet DAHead", "deeplabv3plus": "DeepLabV3+ DeepLabv3Plus", "unet": "U-Net UNet",
    "pspnet": "PSPNet PSPHead", "ocrnet": "OCRNet OCRHead", "isanet": "ISANet ISAHead",
    "hrnet_ocr": "HRNet-OCR-PSA", "lr_aspp": "LRASPP LR-ASPP", "fpn": "Semantic-FPN",
    "segformer": "SegFormer SegformerHead", "linear": "BNHead", "dpt": "DPT DPTHead",
    "segnext": "SegNeXt LightHamHead", "spnet": "SPNet SPHead", "upernet": "UPerNet UPerHead",
    "setr": "SETR SETRUPHead",
}  # fmt: skip


@pytest.mark.parametrize("key", NETWORK_NAMES)
def test_names_of_papers_and_reference_classes_are_found(key):
    assert {resolve(name) for name in NETWORK_NAMES[key].split()} == {key}


def test_names_are_found_wherever_layers_and_networks_are_named():
    model = tiny("DANet", attention="Coord_Att@4")
    assert model.config.arch == "danet"
    assert model.config.attention["stage4"][0] == "coord"
    with pytest.raises(InputError, match="Mask2Former is not in this version; nearest here: 'fpn'"):
        tiny("Mask2Former")


@pytest.mark.parametrize("arch", available())
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_no_images_give_no_logits(arch, training):
    model = tiny(arch).train(training)
    before = copy.deepcopy(model.state_dict())
    image = torch.zeros(0, 3, 65, 49, requires_grad=True)
    outputs = model.with_auxiliary(image)
    for logits in (model(image), outputs.logits, *outputs.auxiliary.values()):
        assert logits.shape == (0, 4, 65, 49)
    outputs.logits.sum().backward()
    assert image.grad.shape == image.shape
    assert all(torch.equal(value, before[k]) for k, value in model.state_dict().items())
    assert all(part.training == training for part in model.modules())


@pytest.mark.parametrize("arch", available())
def test_gradients_are_right_where_the_logits_of_one_image_go_on_as_tokens(arch):
    """torch 2.15 on CPUs: a batch norm's gradient is wrong at batch 1 before such a consumer."""
    model = tiny(arch).double()
    decoder = model.decoder
    features = [x.detach().requires_grad_() for x in model.eval().backbone(picture(1, 96, 64))]
    decoder.train()
    for part in decoder.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.eval()
    try:
        y = decoder(features)
    except InputError as error:
        pytest.skip(str(error))  # one vector per image has no variance at batch 1
    tokens = 2 * y.flatten(2).transpose(1, 2)
    g = (torch.arange(y.numel()) * 0.7).sin().double().view(tokens.shape)
    found = torch.autograd.grad(tokens, features, g, allow_unused=True, retain_graph=True)
    right = (2 * g).mT.contiguous().view_as(y)  # the gradient of y, laid out as y is
    wanted = torch.autograd.grad(y, features, right, allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("arch", available())
def test_every_option_is_described(arch):
    bare = [line for line in options_of(available()[arch]) if "  " not in line]
    assert not bare, f"say in the class's docstring, under `Args:`, what {bare} mean"


@pytest.mark.parametrize("arch", available())
def test_train_mode_returns_one_tensor_and_every_parameter_learns(arch):
    model = tiny(arch).train()
    image = torch.randn(2, 3, 64, 48)
    assert model(image).shape == (2, 4, 64, 48)
    outputs = model.with_auxiliary(image)
    loss = outputs.logits.square().mean()
    loss = loss + sum(x.square().mean() for x in outputs.auxiliary.values())
    if outputs.presence is not None:
        loss = loss + outputs.presence.square().mean()
    loss.backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_any_backbone_any_size(backbone):
    model = create_model("fcn", backbone, num_classes=3).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 97, 65)).shape == (1, 3, 97, 65)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_output_stride(stride):
    backbone = Backbone(SMALL, output_stride=stride)
    features = backbone(torch.randn(1, 3, 64, 96))
    assert features[-1].shape[-2:] == (64 // stride, 96 // stride)


def test_output_stride_the_backbone_cannot_have():
    with pytest.raises(InputError, match=r"cannot work at output_stride=8; its own is 32"):
        create_model("fcn", "densenet121", num_classes=2, output_stride=8)
    assert create_model("fcn", "densenet121", num_classes=2).backbone.reductions[-1] == 32
    with pytest.raises(InputError, match="8, 16 or 32"):
        tiny(output_stride=5)


def test_padding_repeats_the_border_and_keeps_the_inside():
    model = tiny(backbone="test_convnext").eval()
    assert model.backbone.multiple == 8
    image = torch.randn(1, 3, 43, 70)
    padded = torch.nn.functional.pad(image, (0, 2, 0, 5), mode="replicate")
    torch.testing.assert_close(model(image), model(padded)[..., :43, :70])


@pytest.mark.parametrize(
    ("backbone", "multiple"),
    [
        (SMALL, 1),
        ("hrnet_w18_small", 1),
        ("convnext_atto", 32),  # drops what 4 and then 2, 2, 2 leave over
        ("swin_tiny_patch4_window7_224", 4),  # pads its windows and odd maps itself
        ("poolformer_s12", 4),
        ("mobilevitv2_050", 64),  # pairs of pixels on a map of 1/32
    ],
)
def test_padding_only_where_a_backbone_cannot_divide(backbone, multiple):
    assert Backbone(backbone).multiple == multiple


@pytest.mark.parametrize("size", [(4, 4), (68, 100), (8, 132), (224, 36)])
def test_a_swin_sees_sides_that_its_patches_divide_as_they_are(size):
    backbone = Backbone("swin_tiny_patch4_window7_224", options={"depths": (1, 1, 1, 1)}).eval()
    maps = backbone(torch.randn(1, 3, *size))
    assert [f.shape[2:] for f in maps] == [
        tuple(-(-side // r) for side in size) for r in (4, 8, 16, 32)
    ]


@pytest.mark.parametrize("backbone", ["test_convnext", "densenet121"])
def test_without_padding_the_backbone_sees_the_picture_alone(backbone):
    options = {"padding": "none"}
    model = create_model("fcn", backbone, num_classes=3, backbone_options=options).eval()
    image = torch.randn(1, 3, 71, 95)
    features = model.backbone.body(image)
    logits = model.decoder(features)
    up = {"size": (71, 95), "mode": "bilinear", "align_corners": True}
    assert torch.equal(model(image), torch.nn.functional.interpolate(logits, **up))


@pytest.mark.parametrize(
    ("backbone", "size"), [("swin_tiny_patch4_window7_224", (65, 97)), ("test_convnext", (3, 40))]
)
def test_without_padding_a_size_that_does_not_fit_is_refused(backbone, size):
    options = {"padding": "none"}
    model = create_model("fcn", backbone, num_classes=3, backbone_options=options).eval()
    told = rf"padding='none': the backbone does not take {size[0]}x{size[1]} pixels .*; take sides"
    with pytest.raises(InputError, match=told):
        model(torch.randn(1, 3, *size))


def test_a_way_of_padding_that_there_is_not():
    with pytest.raises(InputError, match=r"padding='zeros': must be one of 'border', 'none'"):
        create_model("fcn", SMALL, num_classes=3, backbone_options={"padding": "zeros"})


def test_attention_stands_between_the_stages():
    torch.manual_seed(0)
    plain = Backbone(SMALL, output_stride=8).eval()
    torch.manual_seed(0)
    attended = Backbone(SMALL, output_stride=8, attention={"stage3": ("psa_s", {})}).eval()
    image = torch.randn(1, 3, 64, 64)
    before, after = plain(image), attended(image)
    torch.testing.assert_close(before[1], after[1])
    expected = attended.attention["stage3"](before[-2])
    torch.testing.assert_close(after[-2], expected)
    torch.testing.assert_close(after[-1], plain.body.layer4(expected))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("gate", "takes a second input"),
        ("spd", "changes the shape"),
        ({"name": "psanet", "concatenate": True}, "changes the shape"),
    ],
)
def test_a_layer_that_cannot_stand_after_a_stage_is_refused(layer, why):
    with pytest.raises(InputError, match=f"attention after stage 4: layer '.*' {why}"):
        tiny(attention={4: layer})


def test_a_copy_has_its_own_attention():
    model = tiny(attention="psa_s@3,4").eval()
    twin = copy.deepcopy(model)
    image = torch.randn(1, 3, 32, 32)
    before = model(image)
    with torch.no_grad():
        for p in twin.backbone.attention.parameters():
            p.mul_(3)
    assert torch.equal(model(image), before)
    assert not torch.allclose(twin(image), before)


def test_attention_in_a_channels_last_host():
    model = create_model(
        "fcn", "swin_tiny_patch4_window7_224", num_classes=2, attention={2: "coord", 4: "gc"}
    ).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize(
    ("spec", "plan"),
    [
        (None, {}),
        ("none", {}),
        ("gc", {"stage4": ("gc", {})}),
        ("psa_s@inner", {"inner": ("psa_s", {})}),
        ("gc@blocks3,4", {"blocks3": ("gc", {}), "stage4": ("gc", {})}),
        ("gc@2,3", {"stage2": ("gc", {}), "stage3": ("gc", {})}),
        (
            "4=gc; coord(reduction=8)@3",
            {"stage4": ("gc", {}), "stage3": ("coord", {"reduction": 8})},
        ),
        (
            {"stage3": "gc", 4: {"name": "coord", "reduction": 8}},
            {"stage3": ("gc", {}), "stage4": ("coord", {"reduction": 8})},
        ),
    ],
)
def test_ways_of_naming_attention(spec, plan):
    assert attention_plan(spec) == plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "dannet"}, r"model='dannet': unknown model; did you mean 'danet'\?"),
        ({"backbone": "resnet81"}, "backbone='resnet81': unknown backbone; did you mean 'resnet"),
        ({"attention": "psa"}, "attention='psa': could be 'psa_s' "),
        ({"attention": "gc@5"}, r"stages are 1 to 4"),
        ({"attention": {3: 7}}, r"give a layer's name"),
        (
            {"attention": "layer4=gc"},
            r"attention='layer4=gc': 'layer4' is no place here; give stages",
        ),
        ({"attention": {3: "gc", "stage3": "se"}}, r"two layers at 'stage3'; name a place once"),
        ({"attention": {4: {"name": "gc", "reductoin": 4}}}, r"reduction"),
        ({"task": "multi"}, r"task='multi': unknown task"),
        ({"task": "binary", "num_classes": 3}, r"num_classes=1"),
        ({"num_classes": 1}, r"at least 2"),
        ({"num_classes": None}, r"num_classes=None: is missing"),
        ({"widht": 3}, r"widht"),
        ({"classes": 7}, r"num_classes=4 and classes=7 contradict"),
        ({"multi_grid": (4, 8, 16)}, r"one dilation per block"),
        ({"mean": (0.5,)}, r"one value per band"),
        ({"std": (1.0, 1.0, 0.0)}, r"positive"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        create_model(**{"arch": "danet", "backbone": SMALL, "num_classes": 4} | options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_classes": "3"}, "num_classes='3': must be a whole number; give one"),
        ({"in_channels": 4.0}, "in_channels=4.0: must be a whole number; give one, such as 3"),
        ({"multi_grid": 4}, "multi_grid=4: must be a list of whole numbers; give one, or leave it"),
        ({"names": "ab"}, "names='ab': must be a list of texts; give one, or leave it out"),
        ({"mean": 0.5}, "mean=0.5: must be a list of numbers; give one, or leave it out"),
        ({"output_stride": "8"}, "output_stride='8': must be a whole number; give one, or leave"),
    ],
)
def test_what_is_of_another_kind(options, told):
    build = inspect.unwrap(create_model)  # past the test run's own checks
    with pytest.raises(InputError, match=re.escape(told)):
        build("fcn", "test_resnet", **{"num_classes": 2, **options})


def test_names_of_other_libraries():
    model = create_model("fcn", encoder_name=SMALL, classes=5, in_chans=2, encoder_weights=None)
    assert model(torch.randn(2, 2, 32, 32)).shape == (2, 5, 32, 32)


def test_binary_head():
    model = create_model("fcn", SMALL, task="binary").eval()
    logits = model(torch.randn(1, 3, 32, 32))
    assert logits.shape == (1, 1, 32, 32)
    assert torch.equal(model.answer(logits), (logits[:, 0] > 0).long())


def test_pretrained_without_a_network_says_how_to_go_on(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match=r"'test_resnet': its pretrained weights could not be loaded"
    ):
        create_model("fcn", SMALL, num_classes=2, pretrained=True)


def test_published_size_of_the_danet_head():
    model = create_model("danet", "resnet50", num_classes=19)
    assert sum(p.numel() for p in model.decoder.parameters()) == 23_954_619


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [SMALL, "test_convnext"])
def test_exports_with_attention_and_free_size(backbone):
    model = create_model("danet", backbone, num_classes=3, attention="psa_s@3,4").eval()
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(model, (torch.randn(1, 3, 70, 90),), dynamic_shapes=(free,))
    for size in ((70, 90), (64, 128), (97, 65)):
        image = torch.randn(1, 3, *size)
        torch.testing.assert_close(exported.module()(image), model(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "fcn"}, "Mine: key='fcn': taken by pixelwise.networks.decoders.fcn"),
        ({"year": None}, "Mine: year is missing; write year ="),
        ({"summary": None}, "Mine: summary is missing; write summary ="),
        ({"__init__": lambda self, channels, outputs, width=3: None}, "keyword-only options"),
        ({"__init__": lambda self, widths, outputs: None}, "takes channels, outputs"),
    ],
)
def test_an_incomplete_decoder_is_told_what_it_lacks(change, message):
    def constructor(self, channels, outputs, *, width=3):
        pass

    whole = {"key": "mine", "title": "Mine", "year": 2020, "summary": "a line", "source": "none"}
    whole["__init__"] = constructor
    check_decoder(type("Mine", (Decoder,), whole), available())
    parts = {k: v for k, v in (whole | change).items() if v is not None}
    with pytest.raises(InputError, match=message):
        check_decoder(type("Mine", (Decoder,), parts), available())
