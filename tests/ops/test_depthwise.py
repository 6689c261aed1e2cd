import pytest
import torch

from pixelwise.ops.depthwise import depthwise, reference
from pixelwise.ops.running import choice


def run(function, dilation, *inputs):
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = function(*inputs, dilation)
    return y, torch.autograd.grad(y, inputs, y.detach().sin())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 8), (9, 6), (11, 4)])
@pytest.mark.parametrize("sides", [(3, 3), (5, 5), (3, 7), (5, 3), (1, 5), (7, 1)])
def test_the_lean_form_equals_the_plain_one(sides, size, dilation, layout):
    x = torch.randn(2, 3, *size).double().contiguous(memory_format=layout)
    inputs = x, torch.randn(3, 1, *sides).double(), torch.randn(3).double()
    with choice.forced(depthwise="lean"):
        y, found = run(depthwise, dilation, *inputs)
    torch.testing.assert_close((y, found), run(reference, dilation, *inputs))
    assert y.permute(0, 2, 3, 1).stride(3) == 1


def test_without_a_bias():
    x, weight = torch.randn(1, 2, 5, 7), torch.randn(2, 1, 3, 3)
    for dilation in (1, 2):
        found = depthwise(x, weight, None, dilation)
        torch.testing.assert_close(found, reference(x, weight, None, dilation))


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_with_channels_last_ends(autocast):
    """Where it does not, the test is killed with its process."""
    kind = torch.float32 if autocast else torch.bfloat16
    x = torch.randn(1, 16, 33, 64).to(kind, memory_format=torch.channels_last)
    weight = torch.randn(16, 1, 1, 21).to(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = depthwise(x, weight, None)
    wanted = reference(x.float(), weight.float(), None)
    torch.testing.assert_close(y.float(), wanted, rtol=0.02, atol=0.1)


def test_an_image_that_is_no_number_stays_alone():
    x = torch.randn(2, 2, 7, 5)
    x[0] = torch.nan
    assert depthwise(x, torch.randn(2, 1, 3, 3), None, 3)[1].isfinite().all()


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_only_gradients_that_are_asked_for(wanted):
    inputs = [torch.randn(2, 3, 6, 5), torch.randn(3, 1, 1, 5), torch.randn(3)]
    for number in wanted:
        inputs[number].requires_grad_()
    y = depthwise(*inputs)
    found, own = (
        torch.autograd.grad(z.square().sum(), [inputs[number] for number in wanted])
        for z in (y, reference(*inputs))
    )
    torch.testing.assert_close(found, own)
