"""The option `upsampler` of decoders that join coarse maps with fine ones."""

import inspect

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available
from pixelwise.networks.segmenter import load
from pixelwise.ops.running import choice

SMALL = "test_resnet"
NARROW = {"fpn": {"width": 16, "neck": 16}, "unet": {"widths": (16, 16)}, "upernet": {"width": 16}}
NARROW |= {"attention_unet": NARROW["unet"], "lr_aspp": {"width": 16}}
NARROW |= {"deeplabv3plus": {"width": 16, "detail_width": 8}, "fcn": {"features": "all"}}
NARROW |= {
    "ocrnet": {"features": "all", "width": 16, "key_width": 8},
    "hrnetv2": {},
    "segformer": {"width": 16},
    "segnext": {"width": 16, "norm_groups": 4, "bases": 4},
    "linear": {"maps": 3},
    "dpt": {"width": 16, "widths": (8, 8, 16, 16)},
    "setr": {"width": 16},
}
TAKING = [k for k, c in available().items() if "upsampler" in inspect.signature(c).parameters]
SIZE = (65, 49)
LEARNT = ("carafe(hidden=8, kernel_size=3)", "dysample", "freqfusion(hidden=8)")
CASES = [(arch, each) for arch in TAKING for each in LEARNT if (arch, each) != ("setr", LEARNT[2])]


def built(arch, **options):
    torch.manual_seed(0)
    return create_model(arch, SMALL, num_classes=3, **{**NARROW.get(arch, {}), **options})


def picture(images=2):
    return torch.randn(images, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def test_these_decoders_take_it():
    assert set(NARROW) == set(TAKING)


@pytest.mark.parametrize("arch", TAKING)
def test_bilinear_and_none_have_no_parts(arch):
    usual, bilinear = built(arch).eval(), built(arch, upsampler="bilinear").eval()
    assert usual.state_dict().keys() == bilinear.state_dict().keys()
    bilinear.load_state_dict(usual.state_dict())
    same = torch.equal(usual(picture()), bilinear(picture()))
    assert same is (arch not in ("fpn", "unet", "attention_unet")), "those repeat pixels"


def test_bilinear_is_what_interpolation_has():
    one, other = built("unet", interpolation="bilinear"), built("unet", upsampler="bilinear")
    skipping = [model.eval() for model in (one, other)]
    features = one.backbone(picture())
    joined = [model.decoder for model in skipping]
    joined[1].load_state_dict(joined[0].state_dict())
    assert torch.equal(*(decoder(features) for decoder in joined))


@pytest.mark.parametrize(("arch", "upsampler"), CASES)
def test_trains_and_every_parameter_learns(arch, upsampler):
    model = built(arch, upsampler=upsampler).train()
    outputs = model.with_auxiliary(picture())
    assert outputs.logits.shape == (2, 3, *SIZE)
    loss = outputs.logits.square().mean()
    (loss + sum(x.square().mean() for x in outputs.auxiliary.values())).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    parts = model.decoder.upsamplers
    assert len(parts) > 0
    assert any(p.grad.abs().max() > 0 for p in parts.parameters())


@pytest.mark.parametrize("arch", ["fpn", "unet", "upernet"])
def test_forms_give_the_same_and_saving_keeps_it(arch, tmp_path):
    model = built(arch, upsampler="freqfusion(hidden=8, padding=mirror)").eval()
    with torch.no_grad():
        logits = model(picture())
        with choice.forced(reassembly="plain", point_reading="plain"):
            torch.testing.assert_close(model(picture()), logits, rtol=1e-4, atol=1e-5)
        model.save_pretrained(tmp_path)
        again = load(tmp_path)
        assert again.config.options["upsampler"] == "freqfusion(hidden=8, padding=mirror)"
        assert torch.equal(again(picture()), logits)


def test_each_join_is_its_upsampler():
    model = built("unet", upsampler="dysample(groups=2)").eval()
    seen = []
    for part in model.decoder.upsamplers:
        part.register_forward_hook(lambda _, inputs, y: seen.append(inputs[0].shape[1]))
    model(picture())
    assert seen == model.decoder.into[: len(model.decoder.skips)]
    assert all(part.groups == 2 for part in model.decoder.upsamplers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "upsampler"),
    [
        *zip(["fpn", "unet", "upernet"], LEARNT, strict=True),
        *zip(["setr", "segnext", "dpt"], LEARNT, strict=True),
    ],
)
def test_exports_with_free_size(arch, upsampler):
    model = built(arch, upsampler=upsampler).eval()
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(model, (torch.randn(1, 3, 96, 64),), dynamic_shapes=(free,))
        for size in ((96, 64), (65, 97)):
            image = torch.randn(1, 3, *size)
            torch.testing.assert_close(program.module()(image), model(image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arch", "options", "told"),
    [
        ("fpn", {"upsampler": "dysampel"}, "upsampler='dysampel': unknown upsampler; did you mean"),
        ("fpn", {"upsampler": "dysample(goups=2)"}, "option='goups': unknown option of upsampler"),
        ("fpn", {"upsampler": "dysample(guide_channels=2)"}, "option='guide_channels': unknown"),
        ("fpn", {"upsampler": "dysample("}, "upsampler='dysample\\(': is no name .*; write one of"),
        ("fpn", {"upsampler": "dysample(groups=3)"}, "groups=3: channels=16 must be a multiple of"),
        ("fpn", {"upsampler": "carafe", "neck": None}, "'carafe': neck=None joins no maps; give"),
        ("fcn", {"upsampler": "carafe", "features": "last"}, "features='last' joins no maps; give"),
        ("deeplabv3plus", {"upsampler": "carafe", "detail_width": 0}, "detail_width=0 joins no"),
        ("linear", {"upsampler": "carafe", "maps": 1}, "maps=1 joins no maps; give maps=2 or more"),
        ("setr", {"upsampler": "carafe", "convs": 1}, "convs=1 enlarges the logits alone; give"),
        ("setr", {"upsampler": "freqfusion"}, "looks into a finer map, and this decoder has none"),
        ("fpn", {"upsampler": 5}, "upsampler=5: must be text; give one, or leave it out"),
        ("pan", {"upsampler": "carafe"}, "option='upsampler': model 'pan' has none to choose; le"),
    ],
)
def test_what_is_refused(arch, options, told):
    with pytest.raises(InputError, match=told):
        built(arch, **options)
