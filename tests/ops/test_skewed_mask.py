import itertools
import multiprocessing

import pytest
import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch.utils._python_dispatch import TorchDispatchMode

from largest import Largest
from pixelwise.ops.running import blocks
from pixelwise.ops.skewed_mask import expand_mask, lean_steps, pixel_logits, skewed_attention
from pixelwise.ops.skewed_mask.lean_rows import RowAttention
from pixelwise.ops.skewed_mask.plain import reference

CASES = [  # images, height, width, mask rows, mask columns
    (1, 1, 1, 1, 1),
    (2, 1, 7, 3, 5),
    (2, 6, 1, 3, 1),
    (2, 5, 7, 9, 13),
    (1, 8, 6, 5, 7),
    (2, 4, 5, 15, 17),
    (1, 3, 23, 3, 3),
    (1, 9, 4, 3, 9),
]
FORMS = pytest.mark.parametrize("softmax", [True, False], ids=["softmax", "plain"])
DIRECTIONS = pytest.mark.parametrize("collect", [True, False], ids=["collect", "distribute"])


SIZES = {(1, 1): "tiny", (40, 2): "small", (1 << 21, 32): "whole"}


@pytest.fixture(
    params=[(on_cpu, *size) for on_cpu in (True, False) for size in SIZES],
    ids=[f"{size} on {device}" for device in ("cpu", "another") for size in SIZES.values()],
)
def block_size(request, monkeypatch):
    on_cpu, budget, run = request.param
    monkeypatch.setattr(blocks, "cached", lambda device: on_cpu)
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK" if on_cpu else "DEVICE_BLOCK", budget)
    monkeypatch.setattr(lean_steps, "LEAST_RUN", run)


def draw(b, h, w, p, q, d=3, c=4, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(b * h * w + p + q)
    shapes = ((p, q, d), (b, d, h, w), (b, c, h, w))
    return [scale * torch.randn(s, generator=generator).to(dtype) for s in shapes]


def run(form, inputs, **options):
    inputs = [value.detach().requires_grad_() for value in inputs]
    y = form(*inputs, **options)
    g = torch.arange(y.numel()).view(y.shape).cos().to(y.dtype)
    return y, *torch.autograd.grad(y, inputs, g)


@pytest.mark.parametrize("case", CASES, ids=str)
@DIRECTIONS
@FORMS
def test_equals_the_reference(case, collect, softmax, block_size):
    inputs, options = draw(*case), {"collect": collect, "softmax": softmax}
    wanted = run(reference, inputs, **options)
    for found, value in zip(run(skewed_attention, inputs, **options), wanted, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10)


def test_reference_by_loops():
    (weight, guide, value), (h, w) = draw(1, 3, 4, 3, 5), (3, 4)
    logits = torch.zeros(h, w, h, w).double()
    for i in range(h):
        for j in range(w):
            for k in range(h):
                for m in range(w):
                    p, q = k - i + 1, m - j + 2
                    if 0 <= p < 3 and 0 <= q < 5:
                        logits[k, m, i, j] = weight[p, q] @ guide[0, :, i, j]
    logits = logits.view(h * w, h * w)
    flat = value[0].flatten(1)
    collected = flat @ logits.softmax(0)
    distributed = flat @ logits.T.softmax(0)
    found = reference(weight, guide, value, collect=True)[0].flatten(1)
    torch.testing.assert_close(found, collected)
    found = reference(weight, guide, value, collect=False)[0].flatten(1)
    torch.testing.assert_close(found, distributed)


@DIRECTIONS
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("case", [(1, 5, 7, 9, 13), (1, 8, 6, 5, 7)], ids=["full", "partial"])
def test_large_logits_overflow_nothing(collect, sign, case):
    weight, guide, value = draw(*case, dtype=torch.float32)
    weight, guide = 30 * sign * weight.abs(), 10 * guide.abs()
    found = run(skewed_attention, (weight, guide, value), collect=collect)
    exact = (weight.double(), guide.double(), value.double())
    wanted = run(reference, exact, collect=collect)
    assert all(torch.isfinite(tensor).all() for tensor in found)
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=2e-3, atol=2e-3)


@DIRECTIONS
@FORMS
def test_layout_does_not_matter(collect, softmax):
    weight, guide, value = draw(2, 5, 6, 3, 5)
    options = {"collect": collect, "softmax": softmax}
    wanted = run(skewed_attention, (weight, guide, value), **options)
    last = [z.to(memory_format=torch.channels_last) for z in (guide, value)]
    weight = weight.transpose(0, 1).contiguous().transpose(0, 1)
    found = run(skewed_attention, (weight, *last), **options)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_types(collect, dtype):
    inputs = draw(2, 5, 6, 3, 5, dtype=dtype)
    found = run(skewed_attention, inputs, collect=collect)
    wanted = run(reference, [value.double() for value in inputs], collect=collect)
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}[dtype]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        assert (one.double() - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.slow
@DIRECTIONS
@FORMS
def test_gradients_by_finite_differences(collect, softmax):
    inputs = [value.requires_grad_() for value in draw(2, 3, 4, 3, 5)]

    def form(*given):
        return skewed_attention(*given, collect=collect, softmax=softmax)

    assert torch.autograd.gradcheck(form, inputs)


class Calls(TorchDispatchMode):
    """Counts what a device is asked for; views cost nothing there."""

    VIEWS = ("view", "as_strided", "slice", "transpose", "permute", "select", "expand", "detach")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.__name__.split(".")[0] not in self.VIEWS
        return function(*args, **(kwargs or {}))


@DIRECTIONS
@pytest.mark.parametrize("mask", [(127, 255), (33, 33)], ids=str)
def test_few_large_calls_on_a_device(collect, mask):
    """Row by row it would be thousands."""
    inputs = [z.to("meta").requires_grad_() for z in draw(1, 64, 128, *mask, dtype=torch.float32)]
    with Calls() as calls:
        RowAttention.apply(*inputs, collect, True, None).sum().backward()
    assert calls.count < 900


@DIRECTIONS
def test_works_on_the_meta_device(collect):
    inputs = [torch.empty(value.shape, device="meta") for value in draw(2, 5, 6, 3, 5)]
    assert skewed_attention(*inputs, collect=collect).shape == (2, 4, 5, 6)


@DIRECTIONS
@pytest.mark.parametrize("case", CASES, ids=str)
def test_logits_of_one_pixel(collect, case):
    weight, guide, _ = draw(*case)
    mask = torch.einsum("md,bdhw->bmhw", weight.flatten(0, 1), guide)
    pairs = expand_mask(mask, case[3:], collect)
    height, width = case[1:3]
    for place in [(0, 0), (height - 1, width // 2), (height // 2, width - 1)]:
        found = pixel_logits(weight, guide, place, collect=collect)
        torch.testing.assert_close(found.flatten(1), pairs[:, :, place[0] * width + place[1]])


@DIRECTIONS
@pytest.mark.parametrize("mask", [(39, 47), (7, 9)], ids=str)
def test_neither_pairs_nor_masks_are_stored(collect, mask):
    h, w = 20, 24
    inputs = [value.requires_grad_() for value in draw(2, h, w, *mask)]
    with Largest() as seen:
        skewed_attention(*inputs, collect=collect).sum().backward()
    assert 0 < seen.elements < (h * w) ** 2 / 8


@pytest.mark.slow
def test_a_compiled_graph_holds_one_call():
    """Forward and backward, of whatever size: it keeps no pairs, as uncompiled masks do not."""
    with multiprocessing.get_context("spawn").Pool(1) as unchecked:  # shapes, which do not compile
        unchecked.starmap(compile_and_compare, itertools.product((True, False), repeat=2))


def compile_and_compare(collect, softmax):
    called, options = [], {"collect": collect, "softmax": softmax}

    def keep(graph, inputs):
        called.append({str(n.target) for n in graph.graph.nodes if n.op == "call_function"})
        return make_boxed_func(graph.forward)

    torch._dynamo.reset()
    form = torch.compile(
        lambda *given: skewed_attention(*given, **options) * 1,
        fullgraph=True,
        dynamic=True,
        backend=aot_autograd(fw_compiler=keep, bw_compiler=keep),
    )
    for case in [(2, 5, 7, 9, 13), (2, 20, 24, 9, 13)]:
        inputs = draw(*case)
        wanted = run(reference, inputs, **options)
        for one, other in zip(run(form, inputs), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    assert len(called) == 2
    assert all(any("skewed_mask" in name for name in names) for names in called)
    assert not any("softmax" in name or "bmm" in name for names in called for name in names)
    alone = [z.requires_grad_(i == 1) for i, z in enumerate(draw(*case))]
    (found,) = torch.autograd.grad(form(*alone).square().sum(), alone[1])
    (expected,) = torch.autograd.grad(reference(*alone, **options).square().sum(), alone[1])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
