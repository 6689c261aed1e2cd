import pytest
import torch

from pixelwise.ops.joint_gate import joint_gate
from pixelwise.ops.joint_gate.plain import reference
from pixelwise.ops.running import blocks


@pytest.fixture(params=[1 << 20, 12, 1])
def block_size(request, monkeypatch):
    monkeypatch.setattr(blocks, "PASS_BLOCK", request.param)


def draw(b, c, n, dtype=torch.float64):
    torch.manual_seed(b + c + n)
    kind = torch.float32 if dtype.itemsize == 2 else dtype
    return [
        torch.randn(b, c, n).to(dtype),
        torch.randn(b, c).to(kind),
        torch.randn(b, n).to(kind),
    ]


def run(function, inputs, product):
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = function(*inputs, product=product)
    cotangent = torch.arange(y.numel()).reshape(y.shape).cos().to(y.dtype)
    return [y, *torch.autograd.grad(y, inputs, cotangent)]


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 7), (3, 4, 11), (2, 17, 1)], ids=str)
def test_equals_the_reference(shape, product, block_size):
    inputs = draw(*shape)
    for one, other in zip(
        run(joint_gate, inputs, product), run(reference, inputs, product), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("product", [True, False])
def test_any_layout(product, block_size):
    x, channel, spatial = draw(2, 6, 5)
    wanted = run(reference, [x, channel, spatial], product)
    others = [x.mT.contiguous().mT, x.transpose(0, 2).contiguous().transpose(0, 2)]
    for other in others:
        before = other.clone()
        found = run(joint_gate, [other, channel, spatial.t().contiguous().t()], product)
        for one, value in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, value, rtol=1e-12, atol=1e-12)
        assert torch.equal(other, before)
    y = joint_gate(others[0], channel, spatial, product=product)
    assert y.stride() == others[0].stride()


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_other_types(dtype, product):
    inputs = draw(2, 6, 35, dtype)
    wanted = run(reference, [value.double() for value in inputs], product)
    found = run(joint_gate, inputs, product)
    assert [value.dtype for value in found[1:]] == [value.dtype for value in inputs]
    assert found[0].dtype == dtype
    tolerance = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}[dtype]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("product", [True, False])
def test_gradients_by_finite_differences(product):
    inputs = [value.requires_grad_() for value in draw(2, 4, 5)]
    assert torch.autograd.gradcheck(
        lambda *values: joint_gate(*values, product=product), inputs, fast_mode=True
    )


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_gradient_of_each_input_alone(wanted):
    inputs = draw(2, 4, 5)
    everything = run(joint_gate, inputs, True)
    alone = [value.requires_grad_(i == wanted) for i, value in enumerate(inputs)]
    y = joint_gate(*alone, product=True)
    cotangent = torch.arange(y.numel()).reshape(y.shape).cos().to(y.dtype)
    (found,) = torch.autograd.grad(y, alone[wanted], cotangent)
    torch.testing.assert_close(found, everything[1 + wanted], rtol=1e-12, atol=1e-12)


def test_meta_device():
    x, channel, spatial = (value.to("meta") for value in draw(2, 4, 5))
    assert joint_gate(x, channel, spatial, product=True).shape == (2, 4, 5)
