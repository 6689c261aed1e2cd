"""Checkpoints of mmsegmentation's DPT: a plain transformer under its names, and its head."""

import keys
import pytest
import torch
import torch.nn.functional as F
from files import numbers, write
from torch import nn

import pixelwise
from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint
from pixelwise.networks.backbones.timm import Backbone

TEXT = (
    "model = dict(backbone=dict(type='VisionTransformer', num_heads=2, out_indices=(0, 1, 2, 3)),"
    " decode_head=dict(type='DPTHead', readout_type='project'))"
)


def blocks(state, image, eps=1e-5):
    """Maps and class tokens after each block, written from the names of mmsegmentation."""
    s = {k.removeprefix("backbone."): v.double() for k, v in state.items()}
    x = F.conv2d(
        image, s["patch_embed.projection.weight"], s["patch_embed.projection.bias"], stride=16
    )
    size = x.shape[2:]
    x = torch.cat([s["cls_token"], x.flatten(2).mT], 1) + s["pos_embed"]
    width = x.shape[2]
    for i in range(4):
        p = {k.removeprefix(f"layers.{i}."): v for k, v in s.items()}
        attention = nn.MultiheadAttention(width, 2, batch_first=True).double()
        attention.load_state_dict(
            {k.removeprefix("attn.attn."): v for k, v in p.items() if k.startswith("attn.attn.")}
        )
        y = F.layer_norm(x, (width,), p["ln1.weight"], p["ln1.bias"], eps)
        x = x + attention(y, y, y, need_weights=False)[0]
        y = F.layer_norm(x, (width,), p["ln2.weight"], p["ln2.bias"], eps)
        y = F.gelu(F.linear(y, p["ffn.layers.0.0.weight"], p["ffn.layers.0.0.bias"]))
        x = x + F.linear(y, p["ffn.layers.1.weight"], p["ffn.layers.1.bias"])
        yield x[:, 1:].mT.unflatten(2, size), x[:, 0]


def test_maps_are_those_of_the_reference_at_the_size_it_was_built_for(tmp_path):
    state = numbers(keys.dpt())
    found = import_checkpoint(write(tmp_path / "a.pth", state, meta={"cfg": TEXT}))
    config = found.foreign.config
    assert (config.arch, config.backbone, config.num_classes) == (
        "dpt", "vit_base_patch16_224", 4,
    )  # fmt: skip
    assert config.options["readout"] == "project"
    assert config.backbone_options["norm_eps"] == 1e-5
    model = found.model.double()
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        for own, (y, token) in zip(model.backbone(image), blocks(state, image), strict=True):
            beside = token[:, :, None, None].expand_as(y)
            torch.testing.assert_close(own, torch.cat([y, beside], 1), rtol=1e-9, atol=1e-9)
        assert model(torch.randn(1, 3, 50, 37).double()).shape == (1, 4, 50, 37)
    assert sum(float(v.double().sum()) for v in state.values()) == pytest.approx(
        sum(float(v.double().sum()) for v in model.state_dict().values()), rel=1e-5
    )
    assert "resamples its positions" in " ".join(found.foreign.differences)


def test_a_transformer_that_normalises_its_last_map_is_refused(tmp_path):
    state = numbers(keys.dpt() | keys.layer_norm("backbone.ln1", 16))
    with pytest.raises(
        InputError, match=r"normalises its last map.*; take a checkpoint with final"
    ):
        pixelwise.load(write(tmp_path / "a.pth", state))


def test_norms_of_another_eps():
    backbone = Backbone("test_vit", options={"norm_eps": 0.5})
    assert {p.eps for p in backbone.modules() if isinstance(p, nn.LayerNorm)} == {0.5}
    with pytest.raises(InputError, match=r"norm_eps=0\.0: must be above 0; leave it out"):
        Backbone("test_vit", options={"norm_eps": 0.0})
    with pytest.raises(InputError, match="norm_eps=1e-05: is for transformers, not for 'test_res"):
        Backbone("test_resnet", options={"norm_eps": 1e-5})


def test_a_setr_head_on_the_same_transformer(tmp_path):
    body = {k: v for k, v in keys.dpt().items() if k.startswith("backbone.")}
    head = keys.layer_norm("decode_head.norm", 16) | keys.conv(
        "decode_head.conv_seg", 4, 8, 1, True
    )
    head |= keys.conv_bn("decode_head.up_convs.0.0", 8, 16)
    head |= keys.conv_bn("decode_head.up_convs.1.0", 8, 8)
    side = keys.conv_bn("auxiliary_head.0.up_convs.0.0", 8, 16)
    state = numbers(body | head | side)
    found = import_checkpoint(write(tmp_path / "a.pth", state, meta={"cfg": TEXT}))
    config = found.foreign.config
    assert config.arch == "setr"
    assert config.options == {"width": 8, "convs": 2, "scale": 2, "kernel_size": 3}
    assert set(found.foreign.left_out) == set(side)
    assert "each convolution enlarges by 2" in " ".join(found.foreign.differences)
    assert torch.equal(found.model.decoder.norm.weight, state["decode_head.norm.weight"])
