import functools
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from pixelwise.errors import InputError
from pixelwise.layers.registry import available, create, options


def test_the_layers_are_found():
    assert {"gc", "psa_p", "psa_s", "pam", "cam", "coord"} <= set(available())


def test_options_reach_the_layer():
    assert create("gc", 32, reduction=8).add.reduce.out_features == 4
    assert options("gc")["reduction"] == 4


def test_unknown_key_suggests():
    with pytest.raises(InputError, match="layer='psa_ss': unknown layer; did you mean 'psa_s'"):
        create("psa_ss", 8)


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
