"""Every form of every operation can be differentiated twice.

Only where a graph is traced for `grid_sample` torch cannot: that form is left out here.
"""

import functools

import pytest
import torch

from pixelwise.ops.attention import attention
from pixelwise.ops.axis_attention import criss_cross
from pixelwise.ops.axis_gate import axis_gate
from pixelwise.ops.axis_means import axis_means
from pixelwise.ops.biased_attention import biased_attention
from pixelwise.ops.binned_mean import binned_mean
from pixelwise.ops.channel_attention import channel_attention
from pixelwise.ops.channel_pools import channel_pools
from pixelwise.ops.deformable import deformable_convolution
from pixelwise.ops.depthwise import depthwise
from pixelwise.ops.encoding import encoding
from pixelwise.ops.factor_gate import factor_gate
from pixelwise.ops.joint_gate import joint_gate
from pixelwise.ops.local_attention import local_attention
from pixelwise.ops.neighbour_attention import neighbour_attention
from pixelwise.ops.neighbour_windows import neighbourhood
from pixelwise.ops.outlier_gate import outlier_gate
from pixelwise.ops.pixel_pools import mean_and_maximum_pool, mean_pool
from pixelwise.ops.point_reading import read_points
from pixelwise.ops.polarized_gate import polarized_gate
from pixelwise.ops.pooling import attention_and_mean_pool, attention_pool
from pixelwise.ops.reassembly import reassembled
from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import with_plain_gradients
from pixelwise.ops.selective_scan import selective_scan
from pixelwise.ops.self_gate import self_gate
from pixelwise.ops.self_similarity import self_similarity
from pixelwise.ops.skewed_mask import skewed_attention
from pixelwise.ops.sorted_pairs import rectified_pairs
from pixelwise.ops.space_to_depth import space_to_depth
from pixelwise.ops.streamed_projection import streamed_projection
from pixelwise.ops.weighted_sum import weighted_sum

X, MAP, WINDOWS = (2, 3, 4), (2, 3, 3, 4), (1, 2, 2, 3, 4)
MASKS = [(3, 3, 2), (1, 2, 3, 4), (1, 2, 3, 4)]
DEFORMED = [(1, 4, 4, 5), (1, 24, 2, 3), (2, 2, 2, 3), (2,), (1, 12, 2, 3)]
UNBIASED = [(1, 4, 4, 5), (1, 24, 5, 3), (2, 2, 2, 3)]
SCANNED = [(1, 1, 3, 2), (1, 2, 3, 2), (2, 2, 2), (1, 2, 3, 2), (1, 2, 3, 2)]
UNSEEN = [(1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3)]
BOTH = (True, False)


def windows(stride):
    return lambda query, key, value: local_attention(query, key, value, 3, stride)


def neighbours(query, key, value):
    rows, columns = (neighbourhood(size, 3, 1, 1, False, query.device) for size in query.shape[3:])
    return neighbour_attention(query, key, value, rows, columns)


def with_places(query, key, value, slope):
    """Attention with a bias that grows with the number of the query."""

    def bias(numbers, slope):
        return slope[:, None, None] * numbers.to(slope.dtype)[:, None].expand(-1, key.shape[2])

    return biased_attention(query, key, value, bias, slope)


def gate(product, softmax, *, direction=True, offset=True):
    options = {"product": product, "softmax": softmax}
    if direction and offset:
        return functools.partial(polarized_gate, **options)
    if direction:
        return lambda x, channel, z: polarized_gate(x, channel, z, None, **options)
    return lambda x, channel, z: polarized_gate(x, channel, None, z, **options)


def with_options(function, **options):
    return functools.partial(function, **options)


CASES = [  # operation, function, shapes of its inputs
    ("attention", attention, [(2, 3, 4), (2, 3, 5), (2, 3, 5)]),
    ("attention", attention, [(2, 2, 4), (2, 2, 5), (2, 3, 5)]),
    ("axis_attention", criss_cross, [(1, 2, 3, 2), (1, 2, 3, 2), (1, 2, 3, 3)]),
    ("axis_gate", axis_gate, [MAP, (2, 3, 3), (2, 3, 4)]),
    ("axis_means", axis_means, [MAP]),
    ("binned_mean", with_options(binned_mean, bins=2), [MAP]),
    ("channel_attention", channel_attention, [X, (1,)]),
    ("channel_pools", channel_pools, [X, (2, 3)]),
    ("channel_pools", with_options(channel_pools, channel=None), [X]),
    ("deformable", with_options(deformable_convolution, stride=(2, 1)), DEFORMED),
    ("deformable", with_options(deformable_convolution, padding=(1, 0)), UNBIASED),
    ("biased_attention", with_places, [*UNSEEN, (2,)]),
    ("depthwise", depthwise, [(1, 2, 3, 4), (2, 1, 3, 3), (2,)]),
    ("depthwise", with_options(depthwise, bias=None, dilation=2), [(1, 2, 3, 4), (2, 1, 3, 3)]),
    ("encoding", encoding, [X, (2, 3), (2,)]),
    ("factor_gate", factor_gate, [X, (2, 3, 1)]),
    ("factor_gate", factor_gate, [X, (2, 1, 4)]),
    *(
        ("joint_gate", with_options(joint_gate, product=product), [X, (2, 3), (2, 4)])
        for product in BOTH
    ),
    ("local_attention", windows(1), [WINDOWS, WINDOWS, WINDOWS]),
    ("local_attention", windows(2), [(1, 2, 2, 2, 2), WINDOWS, WINDOWS]),
    ("neighbour_attention", neighbours, [WINDOWS, WINDOWS, WINDOWS]),
    ("outlier_gate", with_options(outlier_gate, ease=0.1), [X]),
    ("pixel_mean", mean_pool, [X]),
    ("pixel_pools", mean_and_maximum_pool, [X]),
    ("point_reading", read_points, [(1, 4, 3, 4), (1, 2, 2, 5), (1, 2, 2, 5)]),
    *(
        ("polarized_gate", gate(product, softmax), [X, (2, 3), (2, 3), (2, 4)])
        for product in BOTH
        for softmax in BOTH
    ),
    ("polarized_gate", gate(True, True, offset=False), [X, (2, 3), (2, 3)]),
    ("polarized_gate", gate(False, True, direction=False), [X, (2, 3), (2, 4)]),
    ("pooling", attention_pool, [X, (3,), (1,)]),
    ("pooling", with_options(attention_pool, bias=None), [X, (3,)]),
    ("pooling", attention_and_mean_pool, [X, (3,), (1,)]),
    *(
        ("reassembly", with_options(reassembled, mirror=mirror), [(1, 4, 2, 3), (1, 2, 9, *size)])
        for mirror in BOTH
        for size in ((4, 6), (3, 4))
    ),
    *(
        ("skewed_mask", with_options(skewed_attention, collect=collect, softmax=softmax), MASKS)
        for collect in BOTH
        for softmax in BOTH
    ),
    ("self_similarity", self_similarity, [X, (2, 2, 4)]),
    ("self_gate", self_gate, [X, (2, 3), (2, 3)]),
    ("selective_scan", with_options(selective_scan, backwards=1), SCANNED),
    ("sorted_pairs", rectified_pairs, [(2, 4), (2, 5), (2, 3, 5)]),
    ("space_to_depth", with_options(space_to_depth, factor=2), [(1, 2, 2, 4)]),
    ("streamed_projection", streamed_projection, [X, (2, 2, 3), (2, 2)]),
    *(
        ("weighted_sum", with_options(weighted_sum, pixels=pixels), [X, (2, 4 if pixels else 3)])
        for pixels in BOTH
    ),
]
FORMED = [
    pytest.param(form, *case, id=f"{case[0]} {number} {form}")
    for number, case in enumerate(CASES)
    for form in choice.FORMS[case[0]]
    if form in ("plain", "lean", "fused", "operator", "authors")
]


@pytest.mark.parametrize(("form", "operation", "function", "shapes"), FORMED)
def test_inputs_that_come_from_each_other(form, operation, function, shapes):
    """Each gradient is of its own path alone: else that of the first input would count twice."""
    generator = torch.Generator().manual_seed(3)
    inputs = [torch.randn(z, generator=generator, dtype=torch.float64) for z in shapes]
    inputs = [z.requires_grad_() for z in inputs]

    def run(first, *others):
        with choice.forced(**{operation: form}):
            return function(first, *(z + first.mean() for z in others))

    outputs = run(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((y * torch.arange(y.numel()).view(y.shape).cos()).sum() for y in outputs)
    wanted = torch.autograd.grad(loss, inputs, retain_graph=True, materialize_grads=True)
    found = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def test_every_operation_is_here():
    assert {operation for operation, _, _ in CASES} == set(choice.RULES)


def test_first_derivatives_stay_those_of_the_operator():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = with_plain_gradients(lambda z: z * 3, lambda z: z * 5, x)
    assert torch.equal(y, x * 3)
    assert torch.autograd.grad(y.sum(), x, retain_graph=True)[0].tolist() == [3, 3]
    assert torch.autograd.grad(y.sum(), x, create_graph=True)[0].tolist() == [5, 5]


def test_autocast_does_not_reach_second_derivatives():
    x = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    w = torch.ones(4, requires_grad=True)

    def gradient():
        y = attention_pool(x, w, None)[1].square().sum()
        return torch.autograd.grad(y, x, create_graph=True)[0]

    wanted = gradient()
    with torch.autocast("cpu", torch.bfloat16):
        found = gradient()
    torch.testing.assert_close(found, wanted)
