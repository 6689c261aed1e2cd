import pytest
import torch

from largest import Largest
from pixelwise.ops.axis_attention import criss_cross, reference
from pixelwise.ops.running import blocks


def plain(query, key, value):
    """Every pixel against all pixels, those off its row and column masked: the slow way."""
    b, h, w, _ = query.shape
    scores = torch.einsum("bnd,bmd->bnm", query.flatten(1, 2), key.flatten(1, 2))
    rows, columns = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
    seen = (rows[:, None] == rows) | (columns[:, None] == columns)
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return torch.einsum("bnm,bme->bne", weights, value.flatten(1, 2)).view(b, h, w, -1)


def draw(h, w, d=3, e=4, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(h * w)
    shapes = [(batch, h, w, d), (batch, h, w, d), (batch, h, w, e)]
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def run(function, inputs, kind=torch.float64):
    inputs = [value.detach().to(kind).requires_grad_() for value in inputs]
    out = function(*inputs)
    g = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    return [out, *torch.autograd.grad(out, inputs, g)]


def same(found, wanted, tolerance=1e-11):
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)


@pytest.fixture(params=["one block", "small blocks", "rows", "whole batch"], autouse=True)
def block_size(request, monkeypatch):
    if request.param == "whole batch":
        monkeypatch.setattr(blocks, "cached", lambda device: False)
    elif request.param != "one block":
        monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1 if request.param == "rows" else 200)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (7, 5), (4, 9)], ids=str)
def test_results_and_gradients(size):
    inputs = draw(*size)
    wanted = run(plain, inputs)
    same(run(criss_cross, inputs), wanted)
    same(run(reference, inputs), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_other_types(dtype):
    tolerance = {torch.float32: 1e-5, torch.float16: 6e-3, torch.bfloat16: 5e-2}[dtype]
    inputs = draw(6, 7, dtype=dtype)
    found = run(criss_cross, inputs, dtype)
    assert all(value.dtype == dtype for value in found)
    same(found, run(plain, inputs), tolerance)


def test_any_layout_and_nothing_is_modified():
    inputs = draw(6, 5)
    wanted = run(criss_cross, inputs)
    others = [v.detach().permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1) for v in inputs]
    before = [v.clone() for v in others]
    same(run(criss_cross, others), wanted)
    assert all(torch.equal(v, old) for v, old in zip(others, before, strict=True))


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(criss_cross, draw(3, 4, 2, 2), fast_mode=True)


def test_gradient_of_each_input_alone():
    inputs = draw(4, 5)
    wanted = torch.autograd.grad(criss_cross(*inputs).square().sum(), inputs)
    for i, gradient in enumerate(wanted):
        alone = [value.detach().requires_grad_(i == j) for j, value in enumerate(inputs)]
        criss_cross(*alone).square().sum().backward()
        torch.testing.assert_close(alone[i].grad, gradient, rtol=1e-12, atol=1e-12)


def test_works_on_the_meta_device():
    found = criss_cross(*(value.to("meta") for value in draw(6, 5)))
    assert found.shape == (2, 6, 5, 4)


@pytest.mark.parametrize("block_size", ["one block"], indirect=True)
def test_a_block_bounds_the_weights(monkeypatch):
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1)
    inputs = draw(30, 40, batch=1)
    with Largest() as seen:
        criss_cross(*inputs).sum().backward()
    assert seen.elements <= max(30 * 40 * 4, 40 * (30 + 40))
