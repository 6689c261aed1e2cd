"""Whole networks of mmsegmentation, imported: the logits are those that it computed itself.

Weights and picture come from the recipe of the recorded vectors; key lists and logits were recorded
from mmsegmentation's own code, in float64.
"""

import gzip
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pixelwise.interop.convert import import_checkpoint

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))
import recipe  # noqa: E402

RECORDED = HERE / "recorded"
SHAPES = json.loads(gzip.decompress((RECORDED / "mmsegmentation.json.gz").read_bytes()))
SHARED = re.compile(r"(context\.stages\.\d+)\.key_project")  # one tensor under two names


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_mmsegmentation(name, tmp_path):
    state = {
        key: recipe.tensor(SHARED.sub(r"\1.query_project", key), tuple(shape))
        for key, shape in SHAPES[name].items()
    }
    torch.save({"meta": {"mmseg_version": "1.2.2"}, "state_dict": state}, tmp_path / "net.pth")
    model = import_checkpoint(tmp_path / "net.pth").model.double()
    size = (32, 64) if "hr18" in name else (25, 33)
    with torch.no_grad():
        logits = model(recipe.tensor("input", (1, 3, *size)).double())
    expected = load_file(RECORDED / "mmsegmentation.safetensors")[name].double()
    assert (logits - expected).abs().max() < 1e-6 * expected.abs().max()
