"""Attention in tiles equals attention in windows: any shape, type, layout and size of block."""

import pytest
import torch

from pixelwise.ops.local_attention import by_place, local_attention
from pixelwise.ops.local_attention import traced as forms
from pixelwise.ops.local_attention.plain import reference
from pixelwise.ops.local_attention.tiling import TILE, Tiling
from pixelwise.ops.running import blocks

CASES = {  # images, heads, widths of key and value, rows, columns, kernel_size, stride
    "seven": (2, 2, 3, 3, 9, 11, 7, 1),
    "as small as can be": (1, 1, 2, 4, 4, 17, 7, 1),
    "stride": (2, 2, 3, 2, 9, 12, 3, 2),
    "large stride": (2, 1, 2, 2, 20, 33, 5, 3),
    "a stride beyond a tile": (1, 1, 2, 2, 21, 30, 3, 9),
    "one": (1, 1, 2, 2, 5, 6, 1, 1),
    "one, striding": (1, 2, 2, 2, 6, 8, 1, 2),
    "wide": (1, 1, 2, 2, 7, 40, 7, 1),
    "larger than a tile": (1, 1, 2, 2, 13, 14, 19, 1),
}


def draw(case, dtype=torch.float64):
    b, heads, d, e, h, w, _, stride = CASES[case]
    generator = torch.Generator().manual_seed(0)
    shapes = [(d, -(-h // stride), -(-w // stride)), (d, h, w), (e, h, w)]
    return [torch.randn(b, heads, *shape, generator=generator).to(dtype) for shape in shapes]


def run(form, case, tensors):
    tensors = [z.detach().requires_grad_() for z in tensors]
    out = form(*tensors, *CASES[case][6:])
    g = (torch.arange(out.numel()) * 0.7).sin().view(out.shape).to(out.dtype)
    return out, *torch.autograd.grad(out, tensors, g)


def gathered(query, key, value, kernel_size, stride):
    return forms.gathered(query, key, value, Tiling(kernel_size, stride, max(1, TILE // stride)))


def placed(query, key, value, kernel_size, stride):
    places = forms.mirrored_places(query, key, Tiling(kernel_size, stride, 1))
    return by_place(query, key, value, *places, scale=query.shape[2] ** -0.5)


@pytest.fixture(params=["as is", "one row of tiles", "whole batch"])
def block_size(request, monkeypatch):
    if request.param == "one row of tiles":
        monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1)
    elif request.param == "whole batch":
        monkeypatch.setattr(blocks, "cached", lambda device: False)


@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients(case, block_size):
    tensors = draw(case)
    wanted = run(reference, case, tensors)
    for form in (local_attention, gathered, placed):
        for found, right in zip(run(form, case, tensors), wanted, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", ["seven", "stride"])
def test_any_layout(case):
    tensors = draw(case)
    wanted = run(reference, case, tensors)
    swapped = [z.mT.contiguous().mT for z in tensors]
    last = [z.movedim(2, -1).contiguous().movedim(-1, 2) for z in tensors]
    for others in (swapped, last):
        before = [z.clone() for z in others]
        for found, right in zip(run(local_attention, case, others), wanted, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-11, atol=1e-11)
        assert all(map(torch.equal, others, before))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)],
    ids=str,
)
def test_other_types(dtype, tolerance):
    tensors = draw("seven", dtype)
    wanted = run(reference, "seven", [z.double() for z in tensors])
    for form in (local_attention, gathered, placed):
        for found, right in zip(run(form, "seven", tensors), wanted, strict=True):
            assert found.dtype == dtype
            assert (found.double() - right).abs().max() <= tolerance * right.abs().max()


def test_gradients_by_finite_differences():
    tensors = [z.requires_grad_() for z in draw("stride")]
    run_ = lambda *z: local_attention(*z, 3, 2)  # noqa: E731
    assert torch.autograd.gradcheck(run_, tensors, fast_mode=True)


def test_gradient_of_each_input_alone():
    tensors = draw("seven")
    wanted = run(local_attention, "seven", tensors)[1:]
    for i, right in enumerate(wanted):
        given = [z.detach().requires_grad_(i == j) for j, z in enumerate(tensors)]
        out = local_attention(*given, 7)
        g = (torch.arange(out.numel()) * 0.7).sin().view(out.shape).double()
        (found,) = torch.autograd.grad(out, given[i], g)
        torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


def test_works_on_the_meta_device():
    tensors = [z.to("meta") for z in draw("stride")]
    assert local_attention(*tensors, 3, 2).shape == (*tensors[0].shape[:2], 2, 5, 6)
