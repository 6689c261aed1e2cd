"""Rearranging by torch's own operator, as in a traced graph, equals slicing."""

import pytest
import torch

from pixelwise.ops.running import choice
from pixelwise.ops.space_to_depth import reference, space_to_depth


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_results_and_gradients(factor, dtype):
    x = torch.randn(2, 5, 6, 12).to(dtype).requires_grad_()
    for layout in (x, x.to(memory_format=torch.channels_last), x.mT.contiguous().mT):
        wanted = reference(layout, factor)
        with choice.forced(space_to_depth="traced"):
            y = space_to_depth(layout, factor)
        assert torch.equal(space_to_depth(layout, factor), wanted)
        assert torch.equal(y, wanted)
        g = torch.randn_like(wanted)
        assert torch.equal(torch.autograd.grad(y, x, g)[0], torch.autograd.grad(wanted, x, g)[0])
