import pytest
import torch

from pixelwise.ops.maximum import maximum, reference


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_equals_the_reference_with_and_without_a_gradient(dim, dtype):
    x = torch.randn(2, 5, 7).to(dtype)
    assert torch.equal(maximum(x, dim), reference(x, dim))
    x.requires_grad_()
    (found,) = torch.autograd.grad(maximum(x, dim).sum(), x)
    (wanted,) = torch.autograd.grad(reference(x, dim).sum(), x)
    assert torch.equal(found, wanted)
    with torch.no_grad():
        assert torch.equal(maximum(x, dim), reference(x, dim))


@pytest.mark.parametrize("dim", [1, 2])
def test_the_first_of_equals_gets_the_gradient(dim):
    x = torch.zeros(1, 3, 3, requires_grad=True)
    (found,) = torch.autograd.grad(maximum(x, dim).sum(), x)
    assert torch.equal(found.select(dim, 0), torch.ones(1, 3))
    assert found.sum() == 3


def test_positions_are_not_looked_for_without_a_gradient():
    with torch.profiler.profile() as profile:
        maximum(torch.randn(1, 4, 6), 1)
    names = {event.name for event in profile.events()}
    assert "aten::amax" in names
    assert "aten::max" not in names
