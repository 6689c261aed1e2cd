"""Networks of segmentation_models_pytorch and torchvision: imported, their logits are the same."""

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint


def saved(network, path):
    """The network with norms that have seen something, in float64, and its file."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(part.weight, 1, 0.2, generator)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1, generator)
            nn.init.uniform_(part.running_var, 0.5, 1.5, generator)
    torch.save(network.state_dict(), path)
    return network.eval().double()


def compared(network, path, bands=3):
    theirs = saved(network, path)
    ours = import_checkpoint(path).model.double()
    image = torch.randn(1, bands, 128, 160, dtype=torch.float64)
    with torch.no_grad():
        wanted, found = theirs(image), ours(image)
    wanted = wanted["out"] if isinstance(wanted, dict) else wanted
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    assert (found - wanted).abs().max() <= 1e-6 * wanted.abs().max()


SMP = {
    "Unet": {"decoder_channels": (32, 24, 16, 12, 8)},
    "PAN": {"decoder_channels": 16},
    "FPN": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
    "DeepLabV3Plus": {"decoder_channels": 32},
}


@pytest.mark.parametrize("name", SMP)
def test_logits_of_smp(name, tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    for beside in ({"classes": 3}, {"classes": 1, "in_channels": 4}):
        network = getattr(smp, name)("resnet18", encoder_weights=None, **SMP[name], **beside)
        compared(network, tmp_path / "smp.pth", beside.get("in_channels", 3))


def test_a_classifier_of_whole_pictures_is_left_out(tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = smp.Unet("resnet18", encoder_weights=None, classes=3, aux_params={"classes": 4})
    compared(network, tmp_path / "smp.pth")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("UnetPlusPlus", {}, r"U-Net\+\+: there is no counterpart"),
        ("Linknet", {}, "Linknet: there is no counterpart"),
        ("Unet", {"decoder_attention_type": "scse"}, "scSE attention: there is no counterpart"),
        ("FPN", {"decoder_merge_policy": "cat"}, "of another shape: decoder.classify"),
        ("Unet", {"encoder_depth": 4, "decoder_channels": (8, 8, 8, 8)}, "of another shape"),
    ],
)
def test_other_networks_of_smp_are_named(name, options, told, tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = getattr(smp, name)("resnet18", encoder_weights=None, **options)
    torch.save(network.state_dict(), tmp_path / "smp.pth")
    with pytest.raises(InputError, match=told):
        import_checkpoint(tmp_path / "smp.pth")


@pytest.mark.parametrize("name", ["fcn_resnet50", "lraspp_mobilenet_v3_large"])
def test_logits_of_torchvision(name, tmp_path):
    segmentation = pytest.importorskip("torchvision").models.segmentation
    network = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=4)
    compared(network, tmp_path / "tv.pth")


def test_deeplabv3_of_torchvision_has_no_counterpart(tmp_path):
    segmentation = pytest.importorskip("torchvision").models.segmentation
    network = segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)
    torch.save(network.state_dict(), tmp_path / "tv.pth")
    with pytest.raises(InputError, match="torchvision, deeplabv3: there is no counterpart"):
        import_checkpoint(tmp_path / "tv.pth")


def pan_parts():
    """Names of JaveyWang's parts below `pan`, those of a ResNet, and a classifier."""
    from pixelwise.networks.factory import create_model

    model = create_model(
        "pan",
        "resnet18",
        num_classes=4,
        backbone_options={"channels": (8, 8, 16, 16)},
        variant="javeywang",
    ).eval()
    back = {}
    for theirs, ours in model.decoder.pyramid.reference_keys.items():
        if theirs.startswith(("conv_", "bn_", "conv3", "conv5", "conv7", "bn1", "bn2", "bn3")):
            back[f"pyramid.{ours}."] = f"fpa.{theirs}."
    for level, gate in enumerate(model.decoder.upsamples):
        for theirs, ours in gate.reference_keys.items():
            kind = "upsample" if level else "reduction"
            plain = not theirs.endswith((".conv", ".bn")) and "." not in theirs
            if plain and not (ours.startswith("lift") and kind not in theirs):
                back[f"upsamples.{level}.{ours}."] = f"gau_block{level + 1}.{theirs}."
    parts = {"convnet": model.backbone.body.state_dict(), "pan": {}, "classifier": {}}
    for name, value in model.decoder.state_dict().items():
        if name.startswith("classify."):
            parts["classifier"][name.replace("classify.", "conv.")] = value
            continue
        start = next(start for start in back if name.startswith(start))
        parts["pan"][back[start] + name.removeprefix(start)] = value
    return model, parts


def test_pan_in_parts(tmp_path):
    model, parts = pan_parts()
    torch.save({**parts, "epoch": 3}, tmp_path / "pan.pth")
    again = import_checkpoint(tmp_path / "pan.pth").model
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(again(image), model(image))
    torch.save({"pan": parts["pan"]}, tmp_path / "pan.pth")
    with pytest.raises(InputError, match="decoder alone, without a backbone"):
        import_checkpoint(tmp_path / "pan.pth")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("RRCNN1.RCNN.0.conv.0.weight", "Att5.psi.0.weight", "Up_RRCNN5.Conv_1x1.bias"), "R2U"),
        (("attentionblock2.gate_block_1.W.0.weight",), "network of three dimensions"),
        (("pam_conv1.0.weight", "cam_conv1.0.weight"), "variant='untransposed'"),
        (("ISAHead.conv_bn.0.weight", "cls_seg.weight"), "variant='article'"),
    ],
)
def test_networks_without_a_counterpart_are_named(keys, told, tmp_path):
    torch.save({key: torch.ones(2, 2) for key in keys}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=told):
        import_checkpoint(tmp_path / "a.pth")
