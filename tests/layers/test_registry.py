import functools
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from pixelwise.errors import InputError
from pixelwise.layers.elsewhere import ELSEWHERE
from pixelwise.layers.registry import available, create, options, resolve


def test_the_layers_are_found():
    assert {"gc", "psa_p", "psa_s", "pam", "cam", "coord"} <= set(available())


def test_options_reach_the_layer():
    assert create("gc", 32, reduction=8).add.reduce.out_features == 4
    assert options("gc")["reduction"] == 4


def test_unknown_key_suggests():
    with pytest.raises(InputError, match="layer='psa_ss': unknown layer; did you mean 'psa_s'"):
        create("psa_ss", 8)


NAMES = """
    psa_s PSA_s PSA-S; psa_p PSA_p PSAp; isa ISA_Module ISA_Block ISANet; cbam CBAM
    coord coordinate_attention CoordAtt; deform dcn DCNv2 ModulatedDeformConv2dPack
    pam PAM_Module; cam CAM_Module; spd space_to_depth SPD-Conv SPDConv; gc CB2d ContextBlock GCNet
    nonlocal NONLocalBlock2D NonLocal2d; scse SCSEModule; eca ECA-Net eca_layer
    crisscross CC_module RCCA CrissCrossAttention; ema ema EMAU EMANet; se SELayer SENet
    gate GridAttentionBlock2D; ocr SpatialOCR_Module; encoding EncModule; bam BAM; acmix ACmix
    acmix_window WindowAttention_acmix; fpa FPABlock; gau GAUBlock; dnl DisentangledNonLocal2d
    psanet PSANet; self_attention SelfAttentionBlock2D
"""


@pytest.mark.parametrize("line", [part for row in NAMES.split("\n") for part in row.split(";")])
def test_names_of_papers_and_reference_classes_are_found(line):
    key, *names = line.split() or [""]
    assert all(resolve(name) == key for name in names)


@pytest.mark.parametrize("key", available())
def test_a_layer_is_found_by_its_title_in_any_spelling(key):
    title = available()[key].title
    for name in (title, title.upper(), title.replace(" ", "_"), title.replace(" ", "-")):
        assert resolve(name) == key


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("PSA", ("psa_p", "psa_s", "psanet", "pyramid squeeze attention")),
        ("EMA", ("ema", "efficient multi-scale attention")),
        ("DA", ("cam", "pam", "double attention")),
        ("CA", ("cam", "coord")),
        ("SA", ("self_attention", "shuffle attention")),
        ("DANet", ("cam", "pam")),
        ("polarized self-attention", ("psa_p", "psa_s")),
    ],
)
def test_a_name_of_several_mechanisms_lists_them(name, candidates):
    with pytest.raises(InputError, match="stands for several") as caught:
        create(name, 8)
    assert all(candidate in str(caught.value) for candidate in candidates)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["simam", "LKA", "triplet_attention", "DCNv3", "SKNet", "BiFormer"]
)
def test_a_mechanism_that_is_not_here_gets_no_wrong_hint(name):
    with pytest.raises(InputError, match="is not in pixelwise; nearest in kind: '") as caught:
        create(name, 8)
    assert "did you mean" not in str(caught.value)


def test_names_that_are_here_are_not_listed_as_elsewhere():
    for one in ELSEWHERE:
        for name in (one.title, *one.names):
            assert name not in available(), name
        assert set(one.near) <= set(available()), one.title


def test_unknown_option_suggests():
    with pytest.raises(
        InputError, match="option='reductoin': unknown option of layer 'gc'; did you mean"
    ):
        create("gc", 8, reductoin=2)


def test_device_and_type_are_those_asked_for():
    layer = create("coord", 16, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.bfloat16)}


def test_a_timm_network_takes_any_layer():
    network = timm.create_model(
        "resnet18", block_args={"attn_layer": functools.partial(create, "gc", reduction=8)}
    )
    assert network.layer3[1].se.add.reduce.out_features == 256 // 8
    assert network.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 1000)


def test_import_loads_only_torch():
    code = (
        "import sys, pixelwise.layers.registry as r; r.available();"
        "print([m for m in ('timm', 'torchvision', 'lightning_fabric', 'PIL') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_public_table_has_every_layer():
    table = (Path(__file__).parents[2] / "docs" / "layers.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    ours = [key for key, layer in available().items() if layer.__module__.startswith("pixelwise.")]
    assert [row.split("`")[1] for row in rows] == ours
