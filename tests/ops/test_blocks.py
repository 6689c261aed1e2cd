"""Running out of memory in inference is answered by smaller blocks, once."""

import logging

import pytest
import torch

from pixelwise.ops import axis_attention
from pixelwise.ops.attention import attention
from pixelwise.ops.attention.lean import BlockAttention
from pixelwise.ops.running import blocks
from pixelwise.ops.skewed_mask import skewed_attention
from pixelwise.ops.skewed_mask.lean import SkewedAttention


def drawn(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


CASES = {
    "attention": (
        attention,
        BlockAttention,
        drawn((1, 3, 50), (1, 3, 60), (1, 5, 60)),
        {},
    ),
    "axis_attention": (
        axis_attention.criss_cross,
        axis_attention._CrissCross,
        drawn((1, 6, 8, 3), (1, 6, 8, 3), (1, 6, 8, 5)),
        {},
    ),
    "skewed_mask": (
        skewed_attention,
        SkewedAttention,
        drawn((5, 5, 3), (1, 3, 6, 8), (1, 4, 6, 8)),
        {"collect": True},
    ),
}


@pytest.fixture
def full(monkeypatch):
    """A machine on which the operation has too little memory `times` times."""

    def prepare(function, times, error=None):
        error = error or torch.OutOfMemoryError("CUDA out of memory.")
        before, given = function.forward, []

        def forward(ctx, *arguments):
            given.append(arguments)
            if len(given) <= times:
                raise error
            return before(ctx, *arguments)

        monkeypatch.setattr(function, "forward", staticmethod(forward))
        monkeypatch.setattr(blocks, "_told", set())
        return given

    return prepare


@pytest.mark.parametrize("name", CASES)
def test_smaller_blocks_once_with_a_line(name, full, caplog):
    operation, function, inputs, options = CASES[name]
    wanted = operation(*inputs, **options)
    given = full(function, 1)
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        found = operation(*inputs, **options)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    at_most = [[z for z in call if isinstance(z, int) and z > 1] for call in given]
    assert at_most == [[], [blocks.DEVICE_BLOCK // blocks.SMALLER]]
    assert caplog.text.count("out of memory (CUDA out of memory.)") == 1


def test_the_second_time_it_is_an_error(full):
    operation, function, inputs, options = CASES["attention"]
    given = full(function, 2)
    with torch.no_grad(), pytest.raises(torch.OutOfMemoryError):
        operation(*inputs, **options)
    assert len(given) == 2


def test_not_in_training_and_not_for_other_errors(full):
    operation, function, inputs, options = CASES["attention"]
    given = full(function, 1)
    with pytest.raises(torch.OutOfMemoryError):
        operation(*inputs, **options)
    assert len(given) == 1
    given = full(function, 1, RuntimeError("shapes do not fit"))
    with torch.no_grad(), pytest.raises(RuntimeError, match="shapes do not fit"):
        operation(*inputs, **options)
    assert len(given) == 1


def test_a_cpu_tells_it_in_words(full):
    operation, function, inputs, options = CASES["attention"]
    wanted = operation(*inputs, **options)
    full(function, 1, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"))
    with torch.no_grad():
        torch.testing.assert_close(operation(*inputs, **options), wanted, rtol=1e-12, atol=1e-12)


def test_blocks_from_bytes():
    assert blocks.elements(None, torch.float32, 2, 10) is None
    assert blocks.elements(800, torch.float32, 2, 10) == 100
    assert list(blocks.spans(10, 4, 1000, torch.device("cuda"), 12)) == [
        slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10),
    ]  # fmt: skip
