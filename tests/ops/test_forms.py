"""Every lean form equals its plain reference: any shape, type and layout, any size of block."""

import functools

import pytest
import torch

from pixelwise.ops import (
    axis_means,
    channel_attention,
    channel_pools,
    factor_gate,
    outlier_gate,
    pixel_pools,
    self_gate,
    weighted_sum,
)
from pixelwise.ops.attention import dispatch as attention
from pixelwise.ops.attention import fused
from pixelwise.ops.axis_gate import dispatch as axis_gate
from pixelwise.ops.polarized_gate import dispatch as polarized_gate
from pixelwise.ops.pooling import dispatch as pooling
from pixelwise.ops.running import blocks
from pixelwise.ops.streamed_projection import dispatch as streamed_projection


def gate(function, product, softmax, parts):
    def run(x, channel, direction, offset):
        direction, offset = (
            direction if "direction" in parts else None,
            offset if "offset" in parts else None,
        )
        return function(x, channel, direction, offset, product=product, softmax=softmax)

    return run


def gate_inputs(b, c, n, h, w):
    return [(b, c, n), (b, c), (b, c), (b, n)]


def gates(parts, width=None):
    def inputs(b, c, n, h, w):
        return [(b, c, n), (b, c), (b, c), (b, width or n)]

    return {
        f"gate {'product' if product else 'sum'} {'softmax ' * softmax}{parts} {width or ''}": (
            gate(polarized_gate.polarized_gate, product, softmax, parts),
            gate(polarized_gate.reference, product, softmax, parts),
            inputs,
        )
        for product in (False, True)
        for softmax in (False, True)
    }


FORMS = {
    "pool": (
        pooling.attention_pool,
        lambda x, *z: (x * 1, pooling.reference(x, *z)[0]),
        lambda b, c, n, h, w: [(b, c, n), (c,), (1,)],
    ),
    "pool and mean": (
        pooling.attention_and_mean_pool,
        lambda x, *z: (x * 1, *pooling.reference(x, *z)),
        lambda b, c, n, h, w: [(b, c, n), (c,), (1,)],
    ),
    **gates("direction offset"),
    **gates("direction offset", width=1),
    **gates("direction"),
    **gates("offset"),
    "axis gate": (
        axis_gate.axis_gate,
        axis_gate.reference,
        lambda b, c, n, h, w: [(b, c, h, w), (b, c, h), (b, c, w)],
    ),
    "streamed projection": (
        streamed_projection.streamed_projection,
        streamed_projection.reference,
        lambda b, c, n, h, w: [(b, c, n), (b, h, c), (b, h)],
    ),
    "attention": (
        attention.attention,
        attention.reference,
        lambda b, c, n, h, w: [(b, h, n), (b, h, w), (b, c, w)],
    ),
    "fused attention": (
        fused.fused,
        attention.reference,
        lambda b, c, n, h, w: [(b, h, n), (b, h, w), (b, c, w)],
    ),
    "axis means": (
        axis_means.axis_means,
        lambda x: (x * 1, *axis_means.reference(x)),
        lambda b, c, n, h, w: [(b, c, h, w)],
    ),
    "channel gate": (
        factor_gate.factor_gate,
        factor_gate.reference,
        lambda b, c, n, h, w: [(b, c, n), (b, c, 1)],
    ),
    "pixel gate": (
        factor_gate.factor_gate,
        factor_gate.reference,
        lambda b, c, n, h, w: [(b, c, n), (b, 1, n)],
    ),
    "outlier gate": (
        functools.partial(outlier_gate.outlier_gate, ease=0.1),
        functools.partial(outlier_gate.reference, ease=0.1),
        lambda b, c, n, h, w: [(b, c, n)],
    ),
    "self gate": (
        self_gate.self_gate,
        self_gate.reference,
        lambda b, c, n, h, w: [(b, c, n), (b, c), (b, c)],
    ),
    "sum over pixels": (
        functools.partial(weighted_sum.weighted_sum, pixels=True),
        lambda x, w: (x * 1, weighted_sum.reference(x, w, True)),
        lambda b, c, n, h, w: [(b, c, n), (b, n)],
    ),
    "sum over channels": (
        functools.partial(weighted_sum.weighted_sum, pixels=False),
        lambda x, w: (x * 1, weighted_sum.reference(x, w, False)),
        lambda b, c, n, h, w: [(b, c, n), (b, c)],
    ),
    "channel pools without gates": (
        lambda x: channel_pools.channel_pools(x, None),
        lambda x: (x * 1, *channel_pools.reference(x, None)),
        lambda b, c, n, h, w: [(b, c, n)],
    ),
    "mean pool": (
        pixel_pools.mean_pool,
        lambda x: (x * 1, pixel_pools.reference(x)[0]),
        lambda b, c, n, h, w: [(b, c, n)],
    ),
    "mean and maximum pool": (
        pixel_pools.mean_and_maximum_pool,
        lambda x: (x * 1, *pixel_pools.reference(x)),
        lambda b, c, n, h, w: [(b, c, n)],
    ),
    "channel pools": (
        channel_pools.channel_pools,
        lambda x, channel: (x * 1, *channel_pools.reference(x, channel)),
        lambda b, c, n, h, w: [(b, c, n), (b, c)],
    ),
    "channel attention": (
        channel_attention.channel_attention,
        channel_attention.reference,
        lambda b, c, n, h, w: [(b, c, n), (1,)],
    ),
}


@pytest.fixture(params=["one block", "small blocks", "blocks of one row", "whole batch"])
def block_size(request, monkeypatch):
    """Blocks are larger than small maps: without this they would never be cut."""
    if request.param == "whole batch":
        monkeypatch.setattr(blocks, "cached", lambda device: False)
    elif request.param != "one block":
        size = 1 if request.param == "blocks of one row" else 70
        monkeypatch.setattr(blocks, "PASS_BLOCK", size)
        monkeypatch.setattr(blocks, "PRODUCT_BLOCK", size)
        monkeypatch.setattr(channel_attention, "STRIP", 3)


def draw(name, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(1, 9, (5,), generator=generator).tolist()
    shapes = FORMS[name][2](1 + seed % 3, *numbers[:1], numbers[1] * 5, *numbers[2:4])
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def run(function, inputs):
    inputs = [value.detach().requires_grad_() for value in inputs]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((y.double() * torch.arange(y.numel()).reshape(y.shape).cos()).sum() for y in outputs)
    return [*outputs, *torch.autograd.grad(loss, inputs, allow_unused=True)]


def same(found, wanted, tolerance):
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape
            scale = max(1.0, other.abs().max().item())
            assert (one.double() - other.double()).abs().max().item() <= tolerance * scale


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FORMS)
def test_results_and_gradients(name, seed, block_size):
    inputs = draw(name, seed)
    lean, reference, _ = FORMS[name]
    same(run(lean, inputs), run(reference, inputs), 1e-11)


@pytest.mark.parametrize("name", FORMS)
def test_any_layout(name, block_size):
    lean, reference, _ = FORMS[name]
    inputs = draw(name, 5)
    wanted = run(reference, inputs)
    turned = [v.transpose(0, -1).contiguous().transpose(0, -1) for v in inputs]
    swapped = [v.mT.contiguous().mT if v.dim() > 1 else v for v in inputs]
    for others in (turned, swapped):
        before = [v.clone() for v in others]
        same(run(lean, others), wanted, 1e-11)
        assert all(torch.equal(v, old) for v, old in zip(others, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", [name for name in FORMS if name != "fused attention"])
def test_other_types(name, dtype):
    lean, reference, _ = FORMS[name]
    inputs = draw(name, 7, dtype)
    if dtype != torch.float32 and name not in ("axis gate", "attention"):
        statistics = slice(1, None)  # all but the map come in the type of statistics
        inputs[statistics] = [value.float() for value in inputs[statistics]]
    wanted = run(reference, [value.double() for value in inputs])
    found = run(lean, inputs)
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}[dtype]
    same(found, wanted, tolerance)
    assert all(torch.isfinite(value).all() for value in found if value is not None)
    count = len(found) - len(inputs)
    for gradient, value in zip(found[count:], inputs, strict=True):
        assert gradient is None or gradient.dtype == value.dtype


@pytest.mark.parametrize("name", [name for name in FORMS if name != "fused attention"])
def test_gradients_by_finite_differences(name):
    inputs = [value.requires_grad_() for value in draw(name, 8)]
    used = [v for v, g in zip(inputs, run(FORMS[name][0], inputs)[-len(inputs) :], strict=True)]
    assert torch.autograd.gradcheck(FORMS[name][0], used, fast_mode=True)


@pytest.mark.parametrize("name", [name for name in FORMS if name != "fused attention"])
def test_gradient_of_each_input_alone(name):
    lean, _, _ = FORMS[name]
    inputs = draw(name, 9)
    wanted = run(lean, inputs)[-len(inputs) :]
    for i, gradient in enumerate(wanted):
        if gradient is None:
            continue
        alone = [value.detach().requires_grad_(i == j) for j, value in enumerate(inputs)]
        outputs = lean(*alone)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum((y * torch.arange(y.numel()).reshape(y.shape).cos()).sum() for y in outputs)
        (found,) = torch.autograd.grad(loss, alone[i])
        torch.testing.assert_close(found, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in FORMS if name != "fused attention"])
def test_works_on_the_meta_device(name):
    shapes = [value.shape for value in draw(name, 3)]
    outputs = FORMS[name][0](*(torch.empty(shape, device="meta") for shape in shapes))
    wanted = FORMS[name][1](*(torch.empty(shape) for shape in shapes))
    pairs = zip(outputs, wanted, strict=True) if isinstance(outputs, tuple) else [(outputs, wanted)]
    assert all(one.shape == other.shape for one, other in pairs)


def test_blocks_cover_a_map_once(block_size):
    for layout in (torch.zeros(3, 7, 20), torch.zeros(3, 20, 7).mT):
        x = layout.clone(memory_format=torch.preserve_format)
        for block in blocks.map_blocks(x):
            x[block] += 1
        assert torch.equal(x, torch.ones_like(x))


def test_blocks_fit_the_cache():
    for layout in (torch.zeros(2, 64, 8192), torch.zeros(2, 8192, 64).mT):
        for block in blocks.map_blocks(layout):
            assert 0 < layout[block].numel() <= blocks.PASS_BLOCK
            assert layout[block].is_contiguous() or layout[block].mT.is_contiguous()


def test_the_first_of_equal_channels_has_the_gradient(block_size):
    x = torch.tensor([[[0.0, 2.0], [0.0, 3.0], [0.0, 3.0], [-1.0, 3.0]]], dtype=torch.float64)
    inputs = [x.requires_grad_(), torch.ones(1, 4, dtype=torch.float64)]
    _, largest, _ = channel_pools.channel_pools(*inputs)
    (found,) = torch.autograd.grad(largest.sum(), x)
    assert found.tolist() == [[[1, 0], [0, 1], [0, 0], [0, 0]]]


def test_the_first_of_equal_pixels_has_the_gradient(block_size):
    x = torch.tensor([[[0.0, 2.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0]]], dtype=torch.float64)
    _, _, largest = pixel_pools.mean_and_maximum_pool(x.requires_grad_())
    (found,) = torch.autograd.grad(largest.sum(), x)
    assert found.tolist() == [[[0, 1, 0, 0], [1, 0, 0, 0]]]


def test_what_is_not_finite_stays_so():
    x = torch.tensor([[[float("nan"), float("-inf")], [1.0, float("-inf")]]]).requires_grad_()
    _, largest, _ = channel_pools.channel_pools(x, torch.ones(1, 2))
    assert largest.isnan().tolist() == [[True, False]]
    assert largest[0, 1] == float("-inf")
    (found,) = torch.autograd.grad(largest[0, 1], x)
    assert found.isfinite().all()
