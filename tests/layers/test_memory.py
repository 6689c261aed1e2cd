"""`max_memory` bounds the weights of pairs that exist at a time, and changes no number."""

import pytest
import torch
from torch import nn

from largest import Largest
from pixelwise import cost, create_layer, create_model
from pixelwise.errors import InputError
from pixelwise.layers.memory import limit_memory, parse_bytes
from pixelwise.ops.running import blocks

PAIRWISE = {
    "pam": {},
    "nonlocal": {"mode": "gaussian"},
    "dnl": {"hidden": 3},
    "self_attention": {"value_channels": 7},
    "isa": {"value_channels": 7},
    "biformer": {"regions": 3, "chosen": 2},
    "crisscross": {},
    "axial": {},
    "axial in turn": {"sequential": True},
    "psanet": {"shrink": 1, "mask_size": (11, 11)},
    "psanet compact": {"shrink": 1, "mask_size": (24, 40), "compact": True},
}


def made(name, **more):
    torch.manual_seed(1)
    layer = create_layer(name.partition(" ")[0], 16, dtype=torch.float64, **PAIRWISE[name], **more)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def step(layer):
    x = torch.randn(2, 16, 24, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x.requires_grad_()
    with Largest() as seen:
        y = layer(x)
        gradients = torch.autograd.grad(y, [x, *layer.parameters()], y.cos())
    return [y, *gradients], seen.elements


@pytest.mark.parametrize("name", PAIRWISE)
def test_same_numbers_from_smaller_blocks(name):
    limited = made(name, max_memory="300KB")
    (wanted, before), (found, after) = step(made(name)), step(limited)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert after <= before
    maps = 3 * 2 * 16 * 24 * 40  # the largest map there is, not of pairs
    assert after <= max(maps, 300_000 // 8)


def test_too_little_for_one_row_of_pairs_is_told():
    layer = create_layer("pam", 16, max_memory=1000)
    with pytest.raises(
        InputError, match=r"max_memory=1000: .* take 7680 bytes .* raise max_memory"
    ):
        layer(torch.zeros(1, 16, 24, 40))


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("500kb", 500_000), (7, 7), ("64", 64)],
)
def test_amounts(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "2 TB", "-1", 0, -5, True, "1.2.3MB", "two"])
def test_what_is_no_amount(text):
    with pytest.raises(InputError, match="max_memory="):
        create_layer("pam", 16, max_memory=text)


def test_a_layer_without_pairs_refuses_it():
    with pytest.raises(InputError, match="nothing to bound"):
        create_layer("se", 16, max_memory="2GB")
    with pytest.raises(InputError, match="nothing to bound"):
        limit_memory(nn.ReLU(), 100)
    limit_memory(nn.ReLU(), None)


def test_networks_pass_it_on_and_do_not_save_it(tmp_path):
    model = create_model("danet", "resnet18", num_classes=3, max_memory="1GB")
    assert model.decoder.position.max_memory == 10**9
    limit_memory(model, None)
    assert model.decoder.position.max_memory is None
    with pytest.raises(InputError, match="nothing to bound"):
        create_model("fcn", "resnet18", num_classes=3, max_memory="1GB")


@pytest.mark.parametrize("key", ["pam", "nonlocal", "self_attention", "crisscross"])
def test_training_at_full_resolution_takes_little(key, monkeypatch):
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1 << 25)  # more than on a CPU, for fewer blocks
    layer = create_layer(key, 512)
    taken = cost.predict(layer, (1, 512, 128, 256), training=True)
    assert 2 * 4 * 512 * 128 * 256 < taken < 1.5e9  # a matrix of all pairs alone has 4.3e9
