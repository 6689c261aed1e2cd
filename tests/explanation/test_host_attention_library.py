"""Attention of known libraries, each against weights that its own code computes."""

import pytest
import torch

import pixelwise
from pixelwise.explanation.host_calls import host_attentions
from pixelwise.explanation.host_maps import host_maps
from pixelwise.networks.factory import create_model

timm = pytest.importorskip("timm")
MAPS = {"rollout": False, "deletion": False}


def maps_of(model, size, at, dtype=torch.float32):
    torch.manual_seed(0)
    image = torch.randn(1, 3, *size, dtype=dtype)
    with torch.no_grad():
        found = host_attentions(model.eval(), image, size)
        return found, host_maps(model, image, found.calls, at)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_vit_with_registers(dtype):
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=(64, 96), depth=3, num_classes=4, reg_tokens=4
    ).to(dtype)
    found, maps = maps_of(model, (64, 96), (20, 90), dtype)
    kept = {}
    for name, block in model.named_modules():
        if name.endswith("attn"):
            block.fused_attn = False
            block.attn_drop.register_forward_hook(lambda _, x, y, n=name: kept.update({n: y}))
    maps_of(model, (64, 96), (20, 90), dtype)
    assert (len(maps), found.notes) == (3, ())
    for name, one in maps.items():
        assert (one.at, one.size) == ((1, 5), (4, 6))
        wanted = kept[name][0, :, 5 + 11, 5:].float()
        close = (
            {"atol": 1e-5, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 2e-3, "rtol": 0.05}
        )
        torch.testing.assert_close(one.heads.flatten(1), wanted, **close)
        assert one.proof <= (1e-6 if dtype == torch.float32 else 2e-2)


@pytest.mark.slow
def test_swin_inside_a_segmenter():
    model = create_model("fcn", "swin_tiny_patch4_window7_224", num_classes=3, pretrained=False)
    found = pixelwise.explain(model, torch.randn(1, 3, 72, 104), (70, 100), **MAPS)
    assert len(found.maps) == 12
    assert found.notes == ()
    assert all(one.proof <= 2e-6 for one in found.maps)
    for one in found.maps:
        assert one.spatial.sum() + one.apart == pytest.approx(1, abs=1e-5)
        assert one.spatial[one.at] > 0
