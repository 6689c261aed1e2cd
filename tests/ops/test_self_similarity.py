"""Attention of pixels to themselves: symmetric logits, each computed once."""

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.self_similarity import reference, self_similarity


def draw(*shape, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return (scale * torch.randn(shape, generator=generator)).to(dtype).requires_grad_()


def gradients(y, *inputs):
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return torch.autograd.grad(y, inputs, g)


@pytest.mark.parametrize("side", [1, 7, 16, 1024])
@pytest.mark.parametrize("shape", [(1, 3, 1), (2, 5, 16), (2, 4, 37), (1, 1, 50)], ids=str)
def test_runs_of_any_length_give_what_the_equations_say(side, shape, monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", side * side)
    x, value = draw(*shape), draw(shape[0], 3, shape[2])
    y, wanted = self_similarity(x, value), reference(x, value)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    ours, theirs = gradients(y, x, value), gradients(wanted, x, value)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layout", ["channels last", "every second", "the same pixel"])
def test_strides(layout, monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", 49)
    x, value = draw(2, 6, 20).detach(), draw(2, 4, 20).detach()
    if layout == "channels last":
        x, value = (z.mT.contiguous().mT for z in (x, value))
    elif layout == "every second":
        x, value = x[:, :, ::2], value[:, :, ::2]
    else:
        x, value = (z[:, :, :1].expand(-1, -1, 20) for z in (x, value))
    x, value = x.requires_grad_(), value.requires_grad_()
    y, wanted = self_similarity(x, value), reference(x, value)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(y, x, value), gradients(wanted, x, value))


@pytest.mark.parametrize(
    ("dtype", "near"),
    [(torch.float32, 2e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)],
    ids=str,
)
@pytest.mark.parametrize("scale", [0.3, 30.0])
def test_types_and_logits_far_apart(dtype, near, scale, monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", 100)
    x, value = draw(1, 8, 45, dtype=dtype, scale=scale), draw(1, 4, 45, dtype=dtype)
    y, wanted = self_similarity(x, value), reference(x.double(), value.double())
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), wanted, rtol=near, atol=near)
    assert all(torch.isfinite(found).all() for found in gradients(y, x, value))


def test_the_largest_logit_of_a_pixel_may_come_last(monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", 16)
    x = torch.linspace(0.1, 9, 30, dtype=torch.float64)[None, None].requires_grad_()
    value = draw(1, 2, 30)
    y, wanted = self_similarity(x, value), reference(x, value)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    ours, theirs = gradients(y, x, value), gradients(wanted, x, value)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_second_derivatives_are_those_of_the_plain_form(monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", 9)
    assert torch.autograd.gradgradcheck(self_similarity, (draw(1, 2, 7), draw(1, 2, 7)))


def test_one_input_alone_takes_a_gradient():
    x, value = draw(1, 4, 9), draw(1, 2, 9).detach()
    (ours,) = gradients(self_similarity(x, value), x)
    (theirs,) = gradients(reference(x, value), x)
    torch.testing.assert_close(ours, theirs)


def test_nan_and_an_empty_batch():
    x, value = draw(1, 4, 9).detach(), draw(1, 2, 9).detach()
    x[0, 0, 3] = torch.nan
    assert self_similarity(x, value).isnan().all()
    assert self_similarity(x[:0], value[:0]).shape == (0, 2, 9)


def test_memory_bounds_the_runs(monkeypatch):
    sides = []
    made = "pixelwise.ops.self_similarity._side"
    from pixelwise.ops import self_similarity as module

    side = module._side
    monkeypatch.setattr(made, lambda n, most: sides.append(side(n, most)) or sides[-1])
    x, value = draw(1, 4, 100).detach(), draw(1, 2, 100).detach()
    y = self_similarity(x, value, max_memory=3 * 8 * 400)
    assert sides == [20]
    torch.testing.assert_close(y, reference(x, value))
    with pytest.raises(InputError, match="max_memory=10"):
        self_similarity(x, value, max_memory=10)


@pytest.mark.parametrize("form", ["plain", "lean", "attention"])
def test_every_form_gives_the_same(form):
    x, value = draw(2, 4, 30), draw(2, 3, 30)
    with choice.forced(self_similarity=form):
        found = self_similarity(x, value)
    torch.testing.assert_close(found, reference(x, value), rtol=1e-12, atol=1e-12)
