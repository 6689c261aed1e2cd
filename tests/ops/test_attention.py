"""Attention takes the form that is meant for the widths, and none keeps all pairs."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pixelwise.ops.attention import attention
from pixelwise.ops.attention import fused as module
from pixelwise.ops.attention.fused import fused, widths
from pixelwise.ops.attention.plain import reference
from pixelwise.ops.running import blocks


class Pairs(TorchDispatchMode):
    """Notes the largest result and whether torch's fused kernel ran."""

    def __init__(self):
        super().__init__()
        self.largest, self.fused = 0, False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.fused |= "flash_attention_for_cpu" in str(function)
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.numel())
        return result


def draw(*shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(4)
    drawn = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    return [value.requires_grad_() for value in drawn]


def check(inputs, tolerance=1e-11):
    found, wanted = attention(*inputs), reference(*(v.double() for v in inputs))
    torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)
    g = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(5)).to(found.dtype)
    ours = torch.autograd.grad(found, inputs, g)
    theirs = torch.autograd.grad(wanted, inputs, g.double())
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("widths", [(8, 8), (1, 1), (5, 3), (2, 9)], ids=str)
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_memory_is_linear_and_the_kernel_runs_for_equal_widths(widths, layout, monkeypatch):
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1 << 14)
    d, e = widths
    shapes = [(1, d, 1500), (1, d, 1400), (1, e, 1400)]
    inputs = draw(*shapes, dtype=torch.float32)
    if layout == "channels last":
        inputs = [v.detach().mT.contiguous().mT.requires_grad_() for v in inputs]
    with Pairs() as seen:
        attention(*inputs).sum().backward()
    assert seen.largest < 200 * 1400
    assert seen.fused == (d == e)


@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("pixels", [(1, 1), (1, 7), (7, 1), (50, 33)], ids=str)
def test_equal_widths(width, pixels):
    n, m = pixels
    check(draw((2, width, n), (2, width, m), (2, width, m)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_other_types(dtype):
    tolerance = {torch.float32: 1e-5, torch.float16: 6e-3, torch.bfloat16: 5e-2}[dtype]
    check(draw((2, 4, 30), (2, 4, 20), (2, 4, 20), dtype=dtype), tolerance)


def test_parts_of_one_tensor_and_odd_strides():
    (whole,) = draw((2, 12, 40))
    parts = [part.detach().requires_grad_() for part in whole.split(4, dim=1)]
    check(parts)
    check([part.detach()[:, :, ::2].requires_grad_() for part in parts])
    check([part.detach()[:, :, :1].expand(-1, -1, 5).requires_grad_() for part in parts])


@pytest.mark.parametrize("widths", [(4, 4), (4, 6)], ids=str)
def test_each_gradient_alone(widths):
    d, e = widths
    inputs = draw((2, d, 20), (2, d, 15), (2, e, 15))
    wanted = torch.autograd.grad(attention(*inputs).square().sum(), inputs)
    for i, gradient in enumerate(wanted):
        alone = [value.detach().requires_grad_(i == j) for j, value in enumerate(inputs)]
        attention(*alone).square().sum().backward()
        torch.testing.assert_close(alone[i].grad, gradient, rtol=1e-12, atol=1e-12)
        assert all(value.grad is None for j, value in enumerate(alone) if i != j)


def test_traced_graphs_keep_no_pairs_where_the_key_is_wider():
    inputs = draw((1, 6, 900), (1, 6, 900), (1, 4, 900))
    with Pairs() as seen:
        fused(*inputs).sum().backward()
    assert seen.fused
    assert seen.largest < 100 * 900


def test_widths_are_what_the_fused_kernels_take():
    """The flash kernel takes equal ones up to 256; the efficient one, any that fill 16 bytes."""
    assert widths(64, 512, torch.float32, "cpu") == (512, 512)
    assert widths(64, 512, torch.float32, "cuda") == (64, 512)
    assert widths(5, 67, torch.float32, "cuda") == (8, 68)
    assert widths(64, 256, torch.float16, "cuda") == (256, 256)
    assert widths(60, 512, torch.bfloat16, "cuda") == (64, 512)


def test_widths_need_no_zeros_on_amd_that_its_kernels_do_not_take(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert widths(64, 512, torch.float32, "cuda") == (512, 512)


@pytest.mark.parametrize("filled", [(3, 7), (4, 8)], ids=str)
def test_unequal_widths_that_a_kernel_takes(filled, monkeypatch):
    monkeypatch.setattr(module, "widths", lambda *given: filled)
    inputs = draw((2, 3, 9), (2, 3, 5), (2, 7, 5))
    found, wanted = fused(*inputs), reference(*inputs)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(wanted.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
