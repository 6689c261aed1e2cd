"""UPerNet of mmsegmentation on a ResNet, and backbones that are refused with the reason."""

import keys
import pytest
import torch
import torch.nn.functional as F
from files import narrow, numbers, write
from test_logits import MMSEG, SIZE, resnet

from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint
from pixelwise.networks.decoders.upernet import UPerNet

WIDTHS = (32, 64, 128, 256)
SCALES = (1, 2, 3, 6)


def head(width=16, classes=5):
    found = keys.conv("conv_seg", classes, width, bias=True)
    for i in range(len(SCALES)):
        found |= keys.conv_bn(f"psp_modules.{i}.1", width, WIDTHS[-1], 1)
    found |= keys.conv_bn("bottleneck", width, WIDTHS[-1] + len(SCALES) * width)
    for i, channels in enumerate(WIDTHS[:-1]):
        found |= keys.conv_bn(f"lateral_convs.{i}", width, channels, 1)
        found |= keys.conv_bn(f"fpn_convs.{i}", width, width)
    return found | keys.conv_bn("fpn_bottleneck", width, len(WIDTHS) * width)


def side(width, classes=5):
    return keys.conv_bn("convs.0", width, WIDTHS[-2]) | keys.conv(
        "conv_seg", classes, width, bias=True
    )


@pytest.mark.parametrize("side_width", [32, 24])
def test_logits_are_those_of_the_parts(side_width, tmp_path):
    body = {k: s for k, s in narrow("fcn_r50-d8").items() if k.startswith("backbone.")}
    parts = keys.under("decode_head.", head())
    state = numbers(body | parts | keys.under("auxiliary_head.", side(side_width)))
    imported = import_checkpoint(write(tmp_path / "a.pth", state))
    config = imported.model.config
    assert (config.arch, config.output_stride) == ("upernet", 32)
    assert config.options["auxiliary_width"] == side_width
    assert imported.tensors == len(state)
    mine = {MMSEG(k.removeprefix("backbone.")): v for k, v in state.items() if k in body}
    backbone = resnet(mine, stem=4, output_stride=32).double().eval()
    decoder = UPerNet(backbone.feature_info.channels(), 5, width=16, auxiliary=False)
    decoder.load_reference({k.removeprefix("decode_head."): state[k] for k in parts})
    image = torch.randn(1, 3, *SIZE).double()
    with torch.no_grad():
        logits = decoder.double().eval()(backbone(image))
        found = imported.model.double()(image)
    expected = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("patch_embed.projection.weight", "Swin"),
        ("downsample_layers.0.0.weight", "ConvNeXt"),
    ],
)
def test_a_backbone_that_is_not_read_is_refused(key, title, tmp_path):
    parts = {f"backbone.{key}": (8, 3, 4, 4)} | keys.under("decode_head.", head())
    with pytest.raises(InputError, match=f"backbone {title}: .*; take a checkpoint on a ResNet"):
        import_checkpoint(write(tmp_path / "a.pth", numbers(parts)))


def test_a_stem_that_is_no_kernel_is_refused(tmp_path):
    body = {k: s for k, s in narrow("fcn_r50-d8").items() if k.startswith("backbone.")}
    state = numbers(body | keys.under("decode_head.", head()))
    state["backbone.stem.0.weight"] = state["backbone.stem.0.weight"].flatten()
    with pytest.raises(InputError, match=r"of another shape: backbone\.body\.conv1\.0\.weight"):
        import_checkpoint(write(tmp_path / "a.pth", state))
