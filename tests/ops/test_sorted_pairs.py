import pytest
import torch

from largest import Largest
from pixelwise.ops.sorted_pairs import _sums, rectified_pairs, reference


def draw(n, m, e, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n * m + e)
    shapes = [(batch, n), (batch, m), (batch, e, m)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def check(function, inputs, tolerance=1e-11):
    wide = [value.detach().double().requires_grad_() for value in inputs]
    found, wanted = function(*inputs), reference(*wide)
    g = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(found, inputs, g.to(found.dtype))
    theirs = torch.autograd.grad(wanted, wide, g.to(found.dtype).double())
    for one, other in zip([found, *ours], [wanted, *theirs], strict=True):
        scale = other.abs().max().clamp(min=1e-30)
        assert ((one.double() - other).abs().max() / scale) <= tolerance


SIZES = [(1, 1, 1), (1, 9, 2), (9, 1, 2), (40, 31, 5)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_results_and_gradients(size):
    check(rectified_pairs, draw(*size))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_form_for_traced_graphs(size):
    check(lambda *inputs: _sums(*inputs)[0], draw(*size))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_form_for_exported_programs(size, monkeypatch):
    """It sorts both sides together, for ONNX has no bisection; equal values count or do not."""
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    check(lambda *inputs: _sums(*inputs)[0], draw(*size))
    a, b, value = (v.detach().round() for v in draw(*size))
    torch.testing.assert_close(_sums(a, b, value)[0], reference(a, b, value))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_other_types(dtype):
    tolerance = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    inputs = draw(60, 50, 4, dtype=dtype)
    check(rectified_pairs, inputs, tolerance)
    found = rectified_pairs(*inputs)
    assert found.dtype == dtype
    assert all(g.dtype == dtype for g in torch.autograd.grad(found.sum(), inputs))


def test_sums_that_cancel_stay_exact_in_float32():
    a, b, value = draw(200, 200, 3, dtype=torch.float32)
    wanted = reference(a.double() - 1e3, b.double() + 1e3, value.double())
    shifted = rectified_pairs(a.double() - 1e3, b.double() + 1e3, value)
    assert shifted.dtype == torch.float32
    torch.testing.assert_close(shifted.double(), wanted, rtol=1e-6, atol=1e-5)


def test_any_layout_and_nothing_is_modified():
    a, b, value = (v.detach() for v in draw(20, 15, 4))
    wanted = rectified_pairs(a, b, value)
    others = [v.mT.contiguous().mT for v in (a, b, value)]
    before = [v.clone() for v in others]
    torch.testing.assert_close(rectified_pairs(*others), wanted, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(v, old) for v, old in zip(others, before, strict=True))


def test_equal_scores():
    a, b, value = (v.detach() for v in draw(6, 8, 3))
    a, b = torch.zeros_like(a).requires_grad_(), torch.ones_like(b).requires_grad_()
    check(rectified_pairs, [a, b, value.requires_grad_()])


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(rectified_pairs, draw(7, 5, 3))


def test_gradient_of_each_input_alone():
    inputs = draw(9, 8, 3)
    wanted = torch.autograd.grad(rectified_pairs(*inputs).square().sum(), inputs)
    for i, gradient in enumerate(wanted):
        alone = [value.detach().requires_grad_(i == j) for j, value in enumerate(inputs)]
        rectified_pairs(*alone).square().sum().backward()
        torch.testing.assert_close(alone[i].grad, gradient, rtol=1e-12, atol=1e-12)


def test_no_pairs_exist():
    inputs = draw(800, 800, 4, batch=1)
    with Largest() as seen:
        rectified_pairs(*inputs).sum().backward()
    assert seen.elements <= 4 * 801


def test_works_on_the_meta_device():
    shapes = [(2, 7), (2, 5), (2, 3, 5)]
    found = rectified_pairs(*(torch.empty(shape, device="meta") for shape in shapes))
    assert found.shape == (2, 3, 7)
