"""The mean over bins is torch's, also where the size is free."""

import pytest
import torch
from torch import nn

from pixelwise.ops.binned_mean import _by_products, binned_mean, finer_mean, reference

SIZES = [(1, 1), (1, 7), (4, 5), (6, 6), (12, 16), (13, 11), (3, 29)]


@pytest.mark.parametrize("bins", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("size", SIZES)
def test_both_forms_and_their_gradients(size, bins):
    generator = torch.Generator().manual_seed(bins)
    x = torch.randn(2, 3, *size, generator=generator).double().requires_grad_()
    cotangent = torch.randn(2, 3, bins, bins, generator=generator).double()
    wanted = reference(x, bins)
    (gradient,) = torch.autograd.grad(wanted, x, cotangent)
    for form in (binned_mean, _by_products):
        for layout in (torch.contiguous_format, torch.channels_last):
            found = form(x.contiguous(memory_format=layout), bins)
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
            (turned,) = torch.autograd.grad(found, x, cotangent)
            torch.testing.assert_close(turned, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(7, 12), (2, 3), (1, 1)])
def test_more_bins_than_pixels(size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 4, generator=generator).double()
    wanted = nn.functional.adaptive_avg_pool2d(x, size)
    torch.testing.assert_close(finer_mean(x, torch.empty(1, 1, *size)), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_other_types(dtype):
    x = (100 * torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))).to(dtype)
    wanted = reference(x.double(), 3)
    for form in (binned_mean, _by_products):
        found = form(x, 3)
        assert found.dtype == dtype
        tolerance = 16 * torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)


class Bins(nn.Module):
    def forward(self, x):
        return [binned_mean(x, bins) for bins in (1, 3, 8)]


def test_exports_with_free_size():
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    sample = torch.randn(1, 3, 12, 17)
    exported = torch.export.export(Bins(), (sample,), dynamic_shapes=(free,)).module()
    for size in ((12, 17), (5, 31), (64, 4)):
        x = torch.randn(1, 3, *size)
        for bins, found in zip((1, 3, 8), exported(x), strict=True):
            torch.testing.assert_close(found, reference(x, bins))
