"""The recipe gives the numbers that a recorded network was run with."""

from pathlib import Path

import recipe
import torch
from recorded import Recorded

FULL = Path(__file__).parent / "vectors/danet_full@author/danet50_mg_nodeepstem_65x65.safetensors"


def test_recipe_gives_the_recorded_input():
    recorded = Recorded.open(FULL).tensors()["input"]
    assert torch.equal(recipe.tensor("input", tuple(recorded.shape)), recorded)
