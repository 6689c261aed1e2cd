"""Every Triton kernel equals its plain reference: any shape, type and layout.

On the CPU Triton interprets kernels, where TRITON_INTERPRET=1 is set before it is imported:
`test_kernels.py` starts this file so. Tests marked gpu run the compiled kernels.
"""

import os

import pytest
import torch

from pixelwise.ops.attention import dispatch as attention
from pixelwise.ops.axis_gate import dispatch as axis_gate
from pixelwise.ops.joint_gate import dispatch as joint_gate
from pixelwise.ops.local_attention import dispatch as local_attention
from pixelwise.ops.polarized_gate import dispatch as polarized_gate
from pixelwise.ops.pooling import dispatch as pooling
from pixelwise.ops.running import choice
from pixelwise.ops.selective_scan import dispatch as selective_scan
from pixelwise.ops.skewed_mask import dispatch as skewed_mask
from pixelwise.ops.streamed_projection import dispatch as streamed_projection

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, caplog):
    if request.param == "cpu" and not INTERPRETED:
        pytest.skip("runs where TRITON_INTERPRET=1 is set; see test_kernels.py")
    if request.param == "cuda" and (INTERPRETED or not torch.cuda.is_available()):
        pytest.skip("needs CUDA")
    torch.manual_seed(11)
    yield request.param
    assert not caplog.records, "a kernel did not run"


class Case:
    """One operation and the shapes of its inputs, of which None is left out.

    All are of one type for "map"; else only the first is, and the others of that of statistics.
    """

    def __init__(self, module, name, shapes, types="statistics", **options):
        self.operation = module.__name__.split(".")[2]
        self.function, self.plain = getattr(module, name), module.reference
        self.shapes, self.types, self.options = shapes, types, options

    def draw(self, device, dtype=torch.float32):
        other = torch.float32 if self.types == "statistics" else dtype
        kinds = [dtype] + [other] * (len(self.shapes) - 1)
        return [
            None if shape is None else torch.randn(shape, dtype=torch.float64).to(device, kind)
            for shape, kind in zip(self.shapes, kinds, strict=True)
        ]

    def kernel(self, *inputs):
        with choice.forced(**{self.operation: "kernel"}):
            found = self.function(*inputs, **self.options)
        last = found[-1] if isinstance(found, tuple) else found
        assert last.grad_fn._forward_cls.__module__ == f"pixelwise.ops.{self.operation}.kernel"
        return found

    def reference(self, *inputs):
        found = self.plain(*inputs, **self.options)
        if self.operation != "pooling":
            return found
        context, mean = found
        both = "mean" in self.function.__name__
        return (inputs[0] * 1, context, mean) if both else (inputs[0] * 1, context)


class Scan(Case):
    """Steps are positive and rates negative, so that states stay as large as what is written."""

    def draw(self, device, dtype=torch.float32):
        x, step, rate, *others = super().draw(device, dtype)
        return [x, step.abs(), -rate.abs(), *others]


def joint(b, c, n, **options):
    return Case(joint_gate, "joint_gate", [(b, c, n), (b, c), (b, n)], **options)


def axis(b, c, h, w):
    return Case(axis_gate, "axis_gate", [(b, c, h, w), (b, c, h), (b, c, w)], "map")


def polarized(b, c, n, parts, **options):
    direction, offset = (b, c) if "d" in parts else None, (b, n) if "n" in parts else None
    offset = (b, 1) if "1" in parts else offset
    shapes = [(b, c, n), (b, c), direction, offset]
    return Case(polarized_gate, "polarized_gate", shapes, **options)


def pool(b, c, n, name="attention_pool", bias=(1,)):
    return Case(pooling, name, [(b, c, n), (c,), bias])


def pairs(b, d, e, n, m):
    return Case(attention, "attention", [(b, d, n), (b, d, m), (b, e, m)], "map")


def projection(b, c, n, o):
    shapes = [(b, c, n), (b, o, c), (b, o)]
    return Case(streamed_projection, "streamed_projection", shapes)


def window(b, heads, d, e, asking, asked, **options):
    shapes = [(b, heads, d, *asking), (b, heads, d, *asked), (b, heads, e, *asked)]
    return Case(local_attention, "local_attention", shapes, "map", **options)


def scan(b, s, k, length, e, n, backwards):
    shapes = [(b, s, length, e), (b, k, length, e), (k, e, n), *[(b, k, length, n)] * 2]
    return Scan(selective_scan, "selective_scan", shapes, backwards=backwards)


def mask(p, q, b, d, c, h, w, **options):
    shapes = [(p, q, d), (b, d, h, w), (b, c, h, w)]
    return Case(skewed_mask, "skewed_attention", shapes, "map", **options)


SMALL = {
    "joint product": joint(2, 5, 7, product=True),
    "joint sum": joint(2, 3, 4, product=False),
    "axis": axis(2, 3, 5, 4),
    "polarized sum": polarized(2, 5, 7, "dn", product=False, softmax=False),
    "polarized product": polarized(2, 5, 7, "d1", product=True, softmax=True),
    "polarized offset": polarized(2, 5, 7, "n", product=True, softmax=False),
    "pool": pool(2, 5, 7),
    "pool and mean": pool(2, 5, 7, "attention_and_mean_pool"),
    "attention": pairs(2, 3, 5, 7, 6),
    "projection": projection(2, 5, 7, 3),
    "scan": scan(2, 1, 2, 3, 2, 1, backwards=1),
    "window": window(1, 1, 2, 3, (2, 3), (2, 3), kernel_size=3),
    "mask collect": mask(1, 3, 1, 3, 5, 2, 4, collect=True),
    "mask distribute": mask(1, 3, 2, 3, 5, 2, 4, collect=False, softmax=False),
}
LARGE = {
    "joint product": joint(2, 70, 67, product=True),
    "joint sum": joint(3, 65, 130, product=False),
    "joint one": joint(1, 1, 1, product=True),
    "axis": axis(2, 3, 65, 70),
    "axis narrow": axis(2, 34, 17, 3),
    **{
        f"polarized {parts} {'product ' * product}{'softmax' * softmax}": polarized(
            2, c, n, parts, product=product, softmax=softmax
        )
        for parts, c, n in [("dn", 70, 67), ("d1", 5, 130), ("d", 9, 31), ("n", 66, 65)]
        for product in (False, True)
        for softmax in (False, True)
    },
    "pool": pool(2, 70, 67),
    "pool without bias": pool(1, 3, 31, bias=None),
    "pool and mean": pool(3, 67, 33, "attention_and_mean_pool"),
    "attention": pairs(2, 5, 19, 70, 37),
    "attention wide": pairs(1, 20, 70, 3, 66),
    "attention one": pairs(1, 1, 1, 1, 1),
    "projection": projection(1, 19, 70, 66),
    "projection wide": projection(1, 67, 35, 3),
    "scan": scan(1, 2, 4, 35, 3, 2, backwards=2),
    "scan of stretches": scan(1, 1, 2, 530, 2, 1, backwards=1),
    "scan of one": scan(2, 1, 1, 1, 1, 3, backwards=0),
    "window": window(1, 2, 5, 3, (3, 4), (3, 4), kernel_size=5),
    "window stride": window(1, 2, 2, 9, (3, 5), (5, 9), kernel_size=3, stride=2),
    "window tiles": window(1, 1, 3, 2, (17, 10), (17, 10), kernel_size=7),
    "window wide": window(1, 1, 130, 140, (4, 9), (4, 9), kernel_size=3),
    "window far": window(1, 1, 2, 3, (4, 7), (10, 19), kernel_size=5, stride=3),
    "window of one": window(1, 1, 2, 2, (2, 1), (2, 1), kernel_size=1),
    **{
        f"mask {name} {'collect ' * collect}{'softmax' * softmax}": mask(
            *sizes, collect=collect, softmax=softmax
        )
        for name, sizes in {"wide": (5, 7, 2, 3, 5, 3, 4), "narrow": (3, 3, 1, 9, 2, 4, 35)}.items()
        for collect in (False, True)
        for softmax in (False, True)
    },
}
SMALL_CASES = [pytest.param(case, id=name) for name, case in SMALL.items()]
LARGE_CASES = [
    pytest.param(case, id=f"large {name}", marks=pytest.mark.slow) for name, case in LARGE.items()
]
small_cases = pytest.mark.parametrize("case", SMALL_CASES)
large_cases = pytest.mark.parametrize("case", LARGE_CASES)


def only(function, inputs):
    """`function`, but for the inputs that are None."""
    return [None if z is None else function(z) for z in inputs]


def run(function, inputs, wanted=slice(None)):
    """Outputs, and gradients of the inputs `wanted`."""
    inputs = only(torch.Tensor.detach, inputs)
    sources = [z.requires_grad_() for z in inputs[wanted] if z is not None]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum(
        (y.double() * torch.arange(y.numel(), device=y.device).reshape(y.shape).cos()).sum()
        for y in outputs
    )
    return [*outputs, *torch.autograd.grad(loss, sources)]


def same(found, wanted, tolerance):
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        scale = max(1.0, other.abs().max().item())
        assert (one.double() - other.double()).abs().max().item() <= tolerance * scale


def check(case, inputs, tolerance=1e-5, wanted=slice(None)):
    """The kernel does as the reference does in float64, and leaves its inputs alone."""
    before = only(torch.clone, inputs)
    found = run(case.kernel, inputs, wanted)
    exact = run(case.reference, only(torch.Tensor.double, inputs), wanted)
    for one, other in zip(found, exact, strict=True):
        assert one.shape == other.shape
        scale = max(1.0, other.abs().max().item())
        assert (one.double() - other.double()).abs().max().item() <= tolerance * scale
    assert all(z is None or torch.equal(z, old) for z, old in zip(inputs, before, strict=True))
    return found


@large_cases
def test_results_and_gradients(case, device):
    check(case, case.draw(device))


@small_cases
def test_gradient_of_each_input_alone(case, device):
    inputs = case.draw(device)
    for i, z in enumerate(inputs):
        if z is not None:
            check(case, inputs, wanted=slice(i, i + 1))


def channels_last(z):
    return z.movedim(1, -1).contiguous().movedim(-1, 1) if z.dim() > 1 else z


def spread(z):
    """One image for the whole batch, its numbers not side by side."""
    apart = z.repeat_interleave(2, dim=-1)[..., ::2]
    return apart[:1].expand_as(apart) if z.dim() > 1 else apart


@pytest.mark.parametrize("layout", [channels_last, spread])
@pytest.mark.parametrize("case", SMALL_CASES + LARGE_CASES)
def test_any_layout(case, layout, device):
    check(case, only(layout, case.draw(device)))


FAR = 2**30
"""Between one channel, row or pixel and the next: the third is past 2^31."""


def far(inputs, axis):
    """Views whose numbers lie far apart along one axis; of the memory only what they use exists."""
    space = torch.empty(2 * FAR + 2**18, dtype=torch.float16, device=inputs[0].device)
    views = []
    for i, z in enumerate(inputs):
        if z is None or z.dim() <= max(2, axis) or z.shape[axis] != 3:
            views.append(z)
            continue
        near = z.movedim(axis, 0).contiguous()
        strides = [FAR, *near.stride()[1:]]
        view = space.as_strided(near.shape, strides, i * 2**14).copy_(near)
        views.append(view.movedim(0, axis))
    assert any(one is not other for one, other in zip(views, inputs, strict=True))
    return views


FAR_CASES = {
    "joint": joint(1, 3, 7, product=True),
    "axis": axis(1, 3, 3, 3),
    "polarized": polarized(1, 3, 7, "dn", product=True, softmax=True),
    "pool": pool(1, 3, 7),
    "attention": pairs(1, 3, 2, 3, 3),
    "projection": projection(1, 3, 3, 2),
    "scan": scan(1, 1, 2, 3, 3, 1, backwards=1),
    "window": window(1, 1, 3, 2, (3, 3), (3, 3), kernel_size=3),
    "mask collect": mask(3, 3, 1, 3, 3, 3, 3, collect=True),
    "mask distribute": mask(3, 3, 1, 3, 3, 3, 3, collect=False),
}


FAR_AXES = [
    (name, axis)
    for name, case in FAR_CASES.items()
    for axis in range(5)
    if any(shape and len(shape) > max(2, axis) and shape[axis] == 3 for shape in case.shapes)
]


@pytest.mark.parametrize(("name", "axis"), FAR_AXES)
def test_numbers_further_apart_than_32_bits_reach(name, axis, device):
    case = FAR_CASES[name]
    inputs = case.draw(device, torch.float16)
    check(case, far(inputs, axis), 1e-2)


def check_half(case, dtype, device):
    inputs = case.draw(device, dtype)
    found = check(case, inputs, 1e-2 if dtype == torch.float16 else 6e-2)
    given = [z for z in inputs if z is not None]
    assert [z.dtype for z in found[-len(given) :]] == [z.dtype for z in given]
    full = case.operation in ("selective_scan", "streamed_projection")
    assert found[0].dtype == (torch.float32 if full else dtype)


@small_cases
def test_bfloat16(case, device):
    check_half(case, torch.bfloat16, device)


@large_cases
def test_float16(case, device):
    check_half(case, torch.float16, device)


@pytest.mark.slow
@small_cases
def test_second_derivatives_are_those_of_the_reference(case, device):
    inputs = only(torch.Tensor.requires_grad_, case.draw(device))

    def second(function):
        outputs = function(*inputs)
        y = outputs[-1] if isinstance(outputs, tuple) else outputs
        (first,) = torch.autograd.grad(y.square().sum(), inputs[0], create_graph=True)
        return torch.autograd.grad(first.square().sum(), inputs[0])[0]

    same([second(case.kernel)], [second(case.reference)], 1e-5)


@pytest.mark.slow
@small_cases
def test_same_bits_in_every_run(case, device):
    inputs = case.draw(device)
    pairs = zip(run(case.kernel, inputs), run(case.kernel, inputs), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_no_images(device):
    x, channel, spatial = (z[:0].requires_grad_() for z in SMALL["joint sum"].draw(device))
    y = SMALL["joint sum"].kernel(x, channel, spatial)
    y.sum().backward()
    assert y.shape == x.grad.shape == x.shape
    assert channel.grad.shape == channel.shape


def test_every_operation_with_a_kernel_is_here():
    named = {operation for operation, forms in choice.FORMS.items() if "kernel" in forms}
    assert {case.operation for case in SMALL.values()} == named
    assert {case.operation for case in LARGE.values()} == named
