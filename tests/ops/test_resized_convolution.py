"""A convolution of resized maps equals resizing, concatenating and convolving."""

import pytest
import torch
from torch import nn

from pixelwise.ops.resized_convolution import reference, resized_convolution


def draw(sizes, side, size):
    generator = torch.Generator().manual_seed(0)
    coarse = [torch.randn(2, 3 + i, *s, generator=generator) for i, s in enumerate(sizes)]
    width = sum(z.shape[1] for z in coarse)
    weight = torch.randn(4, width, side, side, generator=generator)
    return coarse, weight, torch.empty(2, 1, *size)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize(
    ("sizes", "size"),
    [([(1, 1)], (1, 1)), ([(1, 1), (3, 3)], (7, 11)), ([(6, 6), (2, 3), (1, 4)], (5, 2))],
)
def test_results_and_gradients(sizes, size, side, align_corners):
    coarse, weight, like = draw(sizes, side, size)
    inputs = [z.double().requires_grad_() for z in (*coarse, weight)]
    wanted = reference(inputs[:-1], inputs[-1], like, align_corners)
    found = resized_convolution(inputs[:-1], inputs[-1], like, align_corners)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
    cotangent = torch.arange(wanted.numel()).reshape(wanted.shape).cos().double()
    pairs = zip(
        torch.autograd.grad(found, inputs, cotangent),
        torch.autograd.grad(wanted, inputs, cotangent),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_other_types(dtype):
    coarse, weight, like = draw([(3, 3), (1, 1)], 3, (8, 9))
    coarse, weight = [z.to(dtype) for z in coarse], weight.to(dtype)
    wanted = reference([z.double() for z in coarse], weight.double(), like, False)
    found = resized_convolution(coarse, weight, like, False)
    assert found.dtype == dtype
    error = (found.double() - wanted).abs().max() / wanted.abs().max()
    assert error <= 8 * torch.finfo(dtype).eps


class Joined(nn.Module):
    def __init__(self, coarse, weight):
        super().__init__()
        self.coarse, self.weight = coarse, weight

    def forward(self, like):
        return resized_convolution(self.coarse, self.weight, like, False)


def test_exports_with_free_size():
    coarse, weight, like = draw([(3, 3), (1, 1)], 3, (8, 9))
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    module = Joined(coarse, weight)
    exported = torch.export.export(module, (like,), dynamic_shapes=(free,)).module()
    for size in ((8, 9), (17, 5)):
        other = torch.empty(2, 1, *size)
        torch.testing.assert_close(exported(other), module(other))
