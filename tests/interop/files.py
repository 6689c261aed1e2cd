"""Synthetic checkpoints: numbers by the recipe, under recorded or described keys."""

import gzip
import json
import re
from pathlib import Path

import recipe
import torch

HERE = Path(__file__).parent
PUBLISHED = json.loads(gzip.decompress((HERE / "layouts" / "mmsegmentation.json.gz").read_bytes()))
"""mmsegmentation 1.2.2: network -> key -> shape, as its published checkpoints have them."""


def numbers(shapes):
    return {key: recipe.tensor(key, tuple(shape)) for key, shape in shapes.items()}


def write(path, state, **beside):
    torch.save({"state_dict": state, **beside}, path)
    return path


def narrow(name, divisor=8):
    """A published key list, its widths divided, with one block in each of the ResNet's stages.

    Counts that are no widths stay: bands, classes, taps, places of masks, bins.
    """
    found = {}
    for key, shape in PUBLISHED[name].items():
        block = re.match(r"backbone\.layer\d\.(\d+)\.", key)
        if block is not None and int(block[1]) > 0:
            continue
        places = re.search(r"(attention(_p)?\.1\.weight|\.gla\.(weight|bias))$", key)
        found[key] = tuple(
            size
            if axis >= 2 or size in (1, 3, 19) or (places and axis == 0)
            else max(size // divisor, 1)
            for axis, size in enumerate(shape)
        )
    return found
