"""What clicks have in common is computed once, and nothing else changes: not a bit of any map."""

import pytest
import torch

from pixelwise.explanation.reading import read
from pixelwise.layers.base import AttentionLayer
from pixelwise.layers.registry import available, create_layer
from pixelwise.serve.remembering import HEAVY, Memory

PLACES = [(3, 4), (14, 9), (0, 0), (3, 4), (15, 11)]
KEYS = [key for key, kind in available().items() if issubclass(kind, AttentionLayer)]


@pytest.mark.parametrize("key", KEYS)
def test_maps_are_the_same_to_the_bit(key):
    torch.manual_seed(0)
    layer = create_layer(key, 64).eval()
    x = torch.randn(1, 64, 16, 12)
    memory = Memory([*layer.parameters(), *layer.buffers(), x])
    with torch.no_grad():
        for at in PLACES:
            expected = read(layer, (x,), at)
            with memory.click():
                found = read(layer, (x,), at)
            for name in ("spatial", "channel"):
                one, other = getattr(found, name), getattr(expected, name)
                assert (one is None) == (other is None)
                assert one is None or torch.equal(one, other)
            assert found.parts.keys() == expected.parts.keys()


class Counted(torch.overrides.TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += func in HEAVY
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("key", ["isa", "psanet", "crisscross", "nonlocal", "dnl"])
def test_later_clicks_multiply_less(key):
    torch.manual_seed(0)
    layer = create_layer(key, 64).eval()
    x = torch.randn(1, 64, 16, 12)
    memory = Memory([*layer.parameters(), *layer.buffers(), x])
    counts = []
    for at in PLACES[:3]:
        with torch.no_grad(), Counted() as counted, memory.click():
            read(layer, (x,), at)
        counts.append(counted.count)
    assert counts[2] < 0.7 * counts[0]
    assert 0 < memory.bytes < 100 * x.numel() * 4
    before = len(memory.numbers)
    with torch.no_grad(), memory.click():
        read(layer, (x,), (7, 7))
    assert len(memory.numbers) == before


def test_what_is_written_into_is_not_taken_for_what_it_was():
    weight, x = torch.randn(4, 4), torch.randn(4, 4)
    memory = Memory([weight, x])
    expected = (weight @ x).relu() @ x
    for _ in range(4):
        with memory.click():
            y = weight @ x
            y.relu_()
            assert torch.equal(y @ x, expected)
            rows = y[1:]
            rows.mul_(2)  # a view: what lies below it changes
            assert torch.equal(y @ x, torch.cat([expected[:1], 2 * expected[1:]]))
            y.zero_()
    x.mul_(2)
    with memory.click():
        assert torch.equal(weight @ x, (weight @ x).clone())
        assert torch.allclose((weight @ x).relu() @ x, 4 * expected)


def test_chance_is_not_remembered():
    x = torch.ones(3, 3)
    memory = Memory([x])
    found = []
    for _ in range(3):
        with memory.click():
            found.append(torch.rand_like(x) @ x)
    assert not torch.equal(found[1], found[2])
