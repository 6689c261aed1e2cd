"""Every network on a small backbone of every family keeps the same promises."""

import pytest
import torch

from pixelwise import cost
from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available, names
from pixelwise.networks.segmenter import load
from pixelwise.networks.zoo import ZOO

BACKBONES = {
    "resnet": ("resnet10t", {}),
    "convnext": ("convnext_atto", {}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
    ),
    "mobilenet": ("mobilenetv3_small_050", {}),
    "efficientnet": ("test_efficientnet", {}),
    "hrnet": ("hrnet_w18_small", {}),
}
FITTING = {
    "acmix_resnet": ("resnet",),
    "hrnet": tuple(BACKBONES),
    "hrnet_ocr": ("resnet", "hrnet"),
    "hrnet_pose": tuple(BACKBONES),
}
"""Families for combinations that need residual blocks, and not too coarse ones for acmix."""
ODD = (97, 65)


def built(arch, family, **options):
    backbone, shape = BACKBONES[family]
    torch.manual_seed(0)
    return create_model(arch, backbone, backbone_options=shape, **({"num_classes": 3} | options))


@pytest.mark.slow
@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("arch", names())
def test_network_on_backbone(arch, family, tmp_path, record_property, pytestconfig):
    record_property("network", arch)
    record_property("backbone", BACKBONES[family][0])
    if arch in ZOO and family not in FITTING[arch]:
        with pytest.raises(InputError, match=r"no residual blocks there|must be at least 4"):
            built(arch, family)(torch.randn(2, 3, *ODD))
        record_property("refused", "refused with the reason")
        return
    model = built(arch, family, in_channels=4)
    record_property("parameters", cost.parameters(model))
    image = torch.randn(2, 4, 96, 64)
    outputs = model.train().with_auxiliary(image)
    assert outputs.logits.shape == (2, 3, 96, 64)
    loss = sum(x.square().mean() for x in (outputs.logits, *outputs.auxiliary.values()))
    if outputs.presence is not None:
        loss = loss + outputs.presence.square().mean()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.eval()
    with torch.no_grad():
        odd = torch.randn(1, 4, *ODD)
        logits = model(odd)
        assert logits.shape == (1, 3, *ODD)
        assert torch.isfinite(logits).all()
    every = pytestconfig.getoption("networks") is not None
    if not every and family != "resnet":
        return  # the rest is the same on all families, and is run on them for the table
    with torch.no_grad():
        model.save_pretrained(tmp_path)
        assert torch.equal(load(tmp_path)(odd), logits)
        binary = built(arch, family, task="binary", num_classes=1).eval()
        assert binary(torch.randn(1, 3, *ODD)).shape == (1, 1, *ODD)
    if every:
        whole = built(arch, family, num_classes=19).eval().to("meta")
        record_property("flops", cost.flops(whole, torch.empty(1, 3, 512, 512, device="meta")))
    if family != "swin" and (every or arch != "acmix_resnet"):  # Swin cannot, acmix takes minutes
        exports_with_free_size(binary)
        record_property("export", "yes")


def exports_with_free_size(model):
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        exported = torch.export.export(
            model, (torch.randn(1, 3, 160, 128),), dynamic_shapes=(free,)
        ).module()
        for size in ((96, 160), (161, 97)):
            image = torch.randn(1, 3, *size)
            torch.testing.assert_close(exported(image), model(image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("arch", available())
def test_a_layer_after_any_stage(arch):
    model = built(arch, "resnet", attention={"3": "coord", "4": "psa_s"}).eval()
    assert set(model.backbone.attention) == {"stage3", "stage4"}
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 96)).shape == (1, 3, 64, 96)
