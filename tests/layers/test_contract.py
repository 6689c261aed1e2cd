"""What every layer promises. A new layer is covered without a change here.

A layer in `<module>.py` brings `test_<module>.py` with a function `reconstruct(layer, x, at)`, for
a layer of two inputs `reconstruct(layer, x, guide, at)`: the output at the output pixel `at`,
computed from the layer's maps and the plain equations. It may also hold

    OPTIONS = {key: {...}}      options with which the layer is small enough for 8 and 16 channels
    VARIANTS = {key: [{...}]}   other options for which the lean form must equal the plain one
    WITHOUT_EFFECT = {name}     parts that do not count in eval mode with these options
    guide(x)                    the second input that goes with x
    output_shape(layer, x)      where the output has another shape than x
    SIDES = (256, 512)          sides of the maps between which FLOPs are compared
    SLACK = {key: 2.0}          factor on the tolerance of half types, for deep stacks
    PER_PIXEL = {key}           layers where every pixel has a map of its own
    ONE_VALUE = {key: [(1, 17)]}  sizes of which one image leaves a norm a single value to train on

`--matrix FILE` writes a table of layers and promises from a run of this file.
"""

import contextlib
import copy
import functools
import importlib
import itertools
import math
import multiprocessing
import zlib

import pytest
import torch
from torch.nn.utils import parametrize
from torch.nn.utils import prune as prune_by
from torch.utils._python_dispatch import TorchDispatchMode

from largest import Largest
from pixelwise.cost import flops, measured, predict
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, FusionLayer
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import available, create
from pixelwise.layers.shared.parts import KNOWN
from pixelwise.ops.running import blocks, choice

LAYERS = list(available())
NORMS = torch.nn.modules.batchnorm._BatchNorm
ATTENDING = [k for k in LAYERS if issubclass(available()[k], AttentionLayer | FusionLayer)]
CHANNELS = 16
SIZES = [(1, 1), (1, 17), (7, 5), (33, 64)]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}

every_layer = pytest.mark.parametrize("key", LAYERS)
attending = pytest.mark.parametrize("key", ATTENDING)


def told(key, name, default=None):
    """What the layer's own test file says under `name`."""
    module = "test_" + available()[key].__module__.rpartition(".")[2]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        pytest.fail(f"layer {key!r}: write tests/layers/{module}.py with reconstruct(layer, x, at)")
    return getattr(found, name, default)


def make(key, channels=CHANNELS, **options):
    return create(key, channels, **(options or told(key, "OPTIONS", {}).get(key, {})))


def build(key, channels=CHANNELS, **options):
    """A layer whose every parameter matters: none is left at zero, where it may hide others."""
    torch.manual_seed(3)
    layer = make(key, channels, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def picture(b, h, w, c=CHANNELS, dtype=torch.float32):
    return torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(h * w + b)).to(dtype)


def fitted(layer, height, width):
    """The next size that the layer's limits allow."""
    least, multiple, _ = layer.limits
    return tuple(-(-max(size, least) // multiple) * multiple for size in (height, width))


def inputs(key, layer, b, h, w, c=CHANNELS, dtype=torch.float32):
    x = picture(max(b, layer.limits.images if layer.training else 1), *fitted(layer, h, w), c=c)
    return with_guide(key, x.to(dtype))


def with_guide(key, x):
    return (x, told(key, "guide")(x)) if issubclass(available()[key], FusionLayer) else (x,)


def output_shape(key, layer, x):
    return x.shape if layer.keeps_shape else told(key, "output_shape")(layer, x)


def cotangent(key, layer, x):
    shape = output_shape(key, layer, x)
    values = torch.arange(torch.Size(shape).numel())
    return (values * 0.7).sin().reshape(shape).to(x.dtype)


def cast(tensors, dtype):
    return tuple(tensor.to(dtype) for tensor in tensors)


def close(a, b, dtype, slack=1.0):
    scale = b.abs().max().clamp(min=1e-30)
    error, allowed = ((a.double() - b.double()).abs().max() / scale), slack * TOLERANCE[dtype]
    assert error <= allowed, (
        f"{dtype} is {error:.1e} of the largest value off, allowed {allowed:.0e}: take softmaxes, "
        "means and sums over pixels in float32 for half types (statistics_dtype), or state a SLACK"
    )


@every_layer
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_size_and_type(key, dtype):
    original = build(key).eval()
    exact_layer = copy.deepcopy(original).to(dtype).double()
    layer = copy.deepcopy(original).to(dtype)
    slack = told(key, "SLACK", {}).get(key, 1.0) if dtype.itemsize == 2 else 1.0
    for batch, size in itertools.product((1, 2), SIZES):
        if fitted(layer, *size) != size:
            with pytest.raises(InputError, match="must be"):
                original(*with_guide(key, picture(batch, *size)))
        given = inputs(key, layer, batch, *size, dtype=dtype)
        y = layer(*given)
        assert y.shape == output_shape(key, layer, given[0])
        assert y.dtype == dtype
        try:
            close(y, exact_layer(*cast(given, torch.float64)), dtype, slack)
        except AssertionError as error:
            pytest.fail(f"batch {batch}, {size}: {error}")


@every_layer
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_trains_on_one_image_or_refuses(key, size):
    layer = build(key).train()
    alone = with_guide(key, picture(1, *fitted(layer, *size)))
    if layer.limits.images > 1:
        with pytest.raises(InputError, match="batch of 1"):
            layer(*alone)
        alone = inputs(key, layer, 1, *size)
    if size == (1, 1) and any(isinstance(part, NORMS) for part in layer.modules()):
        with contextlib.suppress(ValueError):  # a single value, refused in torch's own words
            layer(*alone)
        return
    if size in told(key, "ONE_VALUE", {}).get(key, ()):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            layer(*alone)
        return
    alone = [x.requires_grad_() for x in alone]
    try:
        y = layer(*alone)
    except ValueError as error:
        pytest.fail(
            f"training on one image of size {size} fails: {error}. If a norm gets one vector per "
            "image at every size, set limits = Limits(images=2). If it gets a single value only "
            "where there is one row or column, name the size as ONE_VALUE in the layer's test file"
        )
    y.square().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in alone)
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.requires_grad)


@every_layer
def test_memory_format_is_kept(key):
    layer = build(key).eval()
    given = inputs(key, layer, 2, 7, 5)
    y = layer(*given)
    last = layer(*(x.to(memory_format=torch.channels_last) for x in given))
    remedy = "the output must be laid out as the input is: end lean with formatted(y, x)"
    assert last.is_contiguous(memory_format=torch.channels_last), remedy
    assert y.is_contiguous(), remedy
    torch.testing.assert_close(last, y, rtol=1e-5, atol=1e-5)


def trained(layer):
    return [parameter for parameter in layer.parameters() if parameter.requires_grad]


def gradients(layer, given, g):
    given = [x.detach().requires_grad_() for x in given]
    return torch.autograd.grad(layer(*given), [*given, *trained(layer)], g)


def strided(x):
    """The same numbers, laid out in four other ways."""
    wide = torch.zeros(*x.shape[:2], x.shape[2] * 2, x.shape[3] * 3).to(x.dtype)
    wide[:, :, ::2, 1::3] = x
    deep = torch.zeros(x.shape[0], x.shape[1] * 2, *x.shape[2:]).to(x.dtype)
    deep[:, 1::2] = x
    yield x.to(memory_format=torch.channels_last)
    yield wide[:, :, ::2, 1::3]
    yield deep[:, 1::2]
    yield x.mT.contiguous().mT


@every_layer
def test_layout_does_not_matter_and_nothing_is_modified(key):
    layer = build(key).double()
    given = inputs(key, layer, 2, 6, 5, dtype=torch.float64)
    g = cotangent(key, layer, given[0])
    expected = gradients(layer, given, g)
    for *others, other_g in zip(*map(strided, (*given, g)), strict=True):
        before = [value.clone() for value in (*others, other_g)]
        for found, wanted in zip(gradients(layer, others, other_g), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
        assert all(map(torch.equal, (*others, other_g), before)), (
            "the layer writes to its input or to the gradient that it is given: copy first"
        )


@every_layer
@pytest.mark.parametrize("after", ["psa_p", "psa_s"])
def test_the_gradient_between_two_layers_is_left_alone(key, after):
    first = build(key).double()
    given = [x.requires_grad_() for x in inputs(key, first, 2, 6, 5, dtype=torch.float64)]
    between = first(*given)
    second = build(after, between.shape[1]).double()
    g = (torch.arange(between.numel()) * 0.7).sin().view(between.shape).double()
    both = torch.autograd.grad(second(between), [between, *given], g)
    between = between.detach().requires_grad_()
    (alone,) = torch.autograd.grad(second(between), [between], g)
    torch.testing.assert_close(both[0], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@every_layer
@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_the_formula(key, training):
    layer = build(key, 8).double().train(training)
    given = [x.requires_grad_() for x in inputs(key, layer, 2, 3, 4, c=8, dtype=torch.float64)]
    names = {name: p for name, p in layer.named_parameters() if p.requires_grad}

    def run(*values):
        images, parameters = values[: len(given)], values[len(given) :]
        replaced = dict(zip(names, parameters, strict=True))
        torch.manual_seed(0)  # the same dropout every time
        return torch.func.functional_call(copy.deepcopy(layer), replaced, images)

    assert torch.autograd.gradcheck(run, (*given, *names.values()), fast_mode=True)


def compared(key, layer, given, form, kind):
    """Output and gradients where layers take `form`, and the buffers that follow from it."""
    torch.manual_seed(0)
    before = copy.deepcopy(layer.state_dict())
    given = [x.detach().requires_grad_() for x in given]
    with choice.forced(layer=form):
        y = layer(*given)
    g = cotangent(key, layer, given[0]).contiguous(memory_format=kind)
    found = torch.autograd.grad(y, [*given, *trained(layer)], g)
    after = copy.deepcopy(layer.state_dict())
    layer.load_state_dict(before)
    return {"output": y, "gradients": found, "state": after}


@every_layer
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize(
    ("size", "kind"),
    [
        ((2, 1, 1), torch.contiguous_format),
        ((2, 6, 5), torch.contiguous_format),
        ((1, 13, 17), torch.contiguous_format),
        ((1, 6, 5), torch.channels_last),
    ],
    ids=str,
)
def test_the_lean_form_equals_the_plain_one(key, training, size, kind):
    for options in (told(key, "OPTIONS", {}).get(key, {}), *told(key, "VARIANTS", {}).get(key, ())):
        layer = quiet(build(key, **options).double().train(training))
        if size == (2, 1, 1) and training and any(isinstance(p, NORMS) for p in layer.modules()):
            continue  # one value has no variance
        given = inputs(key, layer, *size, dtype=torch.float64)
        given = [x.contiguous(memory_format=kind) for x in given]
        plain, lean = (compared(key, layer, given, form, kind) for form in ("plain", "lean"))
        torch.testing.assert_close(lean, plain, rtol=1e-9, atol=1e-9)


def quiet(layer):
    """Dropout draws per element, and the forms draw in another order."""
    for part in layer.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p = 0.0
    return layer


class Louder(torch.nn.Module):
    """A part in a wrapper with an effect, as adapters have it; a large one passes dead ReLUs."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, *inputs):
        return 1.5 * self.part(*inputs) + 3.0


def leaves(layer):
    """The parts with weights of their own that act in eval mode."""
    return [name for name, part in layer.named_modules() if name and part._parameters]


@every_layer
@pytest.mark.parametrize("tool", ["wrapper", "hook"])
def test_a_part_that_somebody_changed_has_its_effect(key, tool):
    torch.manual_seed(0)
    original = build(key).double().eval()  # layers inside may take another form: equal but rounding
    for name in leaves(original):
        layer = copy.deepcopy(original)
        part, (place, _, leaf) = layer.get_submodule(name), name.rpartition(".")
        if tool == "wrapper":
            setattr(layer.get_submodule(place), leaf, Louder(part))
        else:
            part.register_forward_hook(lambda _, inputs, y: 1.5 * y + 3.0)
        given = inputs(key, layer, 2, 7, 5, dtype=torch.float64)
        with choice.forced(layer="plain"):
            wanted, before = layer(*given), original(*given)
        found = layer(*given)
        assert torch.allclose(found, wanted), f"{name}: the layer passes its {tool} by"
        if name not in told(key, "WITHOUT_EFFECT", ()):
            assert not torch.allclose(found, before), f"{name}: plain does not call it"


class Adapted(torch.nn.Module):
    """A part with a low-rank adapter beside it, as LoRA has it: weights stay in the part."""

    def __init__(self, part):
        super().__init__()
        self.base_layer, self.scale = part, torch.nn.Parameter(torch.full((1,), 0.3))

    @property
    def weight(self):
        return self.base_layer.weight

    @property
    def bias(self):
        return self.base_layer.bias

    def forward(self, x):
        y = self.base_layer(x)
        return 1.5 * y + self.scale * y.tanh() + 3.0


class Raised(torch.nn.Module):
    """A parametrisation with an effect."""

    def forward(self, value):
        return 1.5 * value + 0.5


def adapt(layer, part, put):
    put(Adapted(part).double())


def prune(layer, part, put):
    name = next(n for n, p in part.named_parameters() if p.ndim > 0)
    mask = torch.ones_like(getattr(part, name))
    mask.view(-1)[::2] = 0
    prune_by.custom_from_mask(part, name, mask)


def parametrise(layer, part, put):
    parametrize.register_parametrization(
        part, next(n for n, _ in part.named_parameters()), Raised()
    )


def keyword_hook(layer, part, put):
    part.register_forward_hook(lambda _, args, kwargs, y: 1.5 * y + 3.0, with_kwargs=True)


def before_hook(layer, part, put):
    part.register_forward_pre_hook(lambda _, inputs: (2.0 * inputs[0] + 1.0, *inputs[1:]))


def replaced_forward(layer, part, put):
    own = part.forward
    part.forward = lambda *inputs, **options: 1.5 * own(*inputs, **options) + 3.0


@every_layer
@pytest.mark.parametrize(
    "tool", [adapt, prune, parametrise, keyword_hook, before_hook, replaced_forward]
)
def test_tools_that_change_a_part_have_their_effect(key, tool):
    """Adapters, pruning, parametrisations, hooks with keywords, and `forward` put in place."""
    torch.manual_seed(0)
    original = build(key).double().eval()
    for name in leaves(original):
        layer = copy.deepcopy(original)
        part, (place, _, leaf) = layer.get_submodule(name), name.rpartition(".")
        if not list(part.parameters(recurse=False)):
            continue
        tool(layer, part, functools.partial(setattr, layer.get_submodule(place), leaf))
        given = inputs(key, layer, 2, 7, 5, dtype=torch.float64)
        with choice.forced(layer="plain"):
            wanted, before = layer(*given), original(*given)
        assert torch.allclose(layer(*given), wanted), f"{name}: {tool.__name__} is passed by"
        if name not in told(key, "WITHOUT_EFFECT", ()) and tool in (adapt, replaced_forward):
            assert not torch.allclose(wanted, before), f"{name}: plain does not call it"


@every_layer
def test_a_recorder_sees_every_part_that_acts(key):
    torch.manual_seed(0)
    layer, seen = build(key).eval(), set()
    for name in leaves(layer):
        layer.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.add(name))
    layer(*inputs(key, layer, 2, 7, 5))
    assert seen >= set(leaves(layer)) - set(told(key, "WITHOUT_EFFECT", ()))


def last(x):
    """Maps, stacked, with the channels last in memory."""
    return x.movedim(2, 4).contiguous().movedim(4, 2)


@every_layer
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_transforms_of_torch_func(key):
    layer = quiet(build(key, 8).double().eval())
    given = inputs(key, layer, 2, 3, 4, c=8, dtype=torch.float64)
    parameters = dict(layer.named_parameters())

    def loss(values, *images):
        y = torch.func.functional_call(layer, values, tuple(x[None] for x in images))
        return y.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, *[0] * len(given)))
    found = each(parameters, *given)
    for i in range(len(given[0])):
        alone = loss(parameters, *(x[i] for x in given))
        learnt = [p for p in parameters.values() if p.requires_grad]
        wanted = torch.autograd.grad(alone, learnt, allow_unused=True) if learnt else ()
        named = [n for n, p in parameters.items() if p.requires_grad]
        for name, value in zip(named, wanted, strict=True):
            torch.testing.assert_close(found[name][i], value, rtol=1e-8, atol=1e-8)
    several = tuple(torch.stack([x, x.flip(3), 2 * x]) for x in given)
    for x in (several, tuple(map(last, several))):
        y = torch.func.vmap(layer)(*x)  # over batches
        for i in range(3):
            alone = layer(*(value[i] for value in several))
            torch.testing.assert_close(y[i], alone, rtol=1e-8, atol=1e-8)
    y, moved = torch.func.jvp(layer, given, tuple(x.sin() for x in given))
    assert torch.isfinite(moved).all()
    assert moved.shape == y.shape


@every_layer
def test_other_axes_and_channels_are_refused(key):
    layer = build(key).eval()
    given = inputs(key, layer, 2, 7, 8)
    for x in (given[0][0], given[0].flatten(2), given[0][None]):  # (c, h, w), (b, c, n), 5-D
        for call in (layer, layer.maps) if hasattr(layer, "maps") else (layer,):
            with pytest.raises(InputError, match="takes maps of shape"):
                call(x, *given[1:])
    with pytest.raises(InputError, match="was made for 16 channels"):
        layer(given[0][:, 1:], *given[1:])
    for order in ((0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 2, 3)):  # (b, h, w, c) and the like
        with pytest.raises(InputError, match="reorder the axes"):
            layer(given[0].permute(order), *given[1:])


@every_layer
def test_numbers_that_are_not_real_are_refused(key):
    layer = build(key).eval()
    x, *guides = inputs(key, layer, 2, 7, 8)
    for kind in (torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn):
        for call in (layer, layer.maps) if hasattr(layer, "maps") else (layer,):
            with pytest.raises(InputError, match="takes real numbers in float64, float32"):
                call(x.to(kind), *guides)


@every_layer
def test_a_pixel_without_a_number_stays_in_its_image(key):
    layer = build(key).eval()
    given = inputs(key, layer, 2, 7, 8)
    wanted = layer(*given)
    given[0][0, :, 3, 2] = math.nan
    torch.testing.assert_close(layer(*given)[1], wanted[1], rtol=1e-5, atol=1e-5)


@every_layer
def test_float32_training_gradients_are_finite_and_close(key):
    """Six images: of two, a norm over images leaves nothing but rounding.

    Some gradients are zero in exact arithmetic, as of a bias before a norm. What rounding makes of
    them is judged by the size of what was summed, since zero has no scale of its own.
    """
    layer = quiet(build(key).train())
    given = inputs(key, layer, 6, 9, 8)
    g = cotangent(key, layer, given[0])
    exact, sizes = gradients_and_sizes(copy.deepcopy(layer).double(), given, g)
    for value, wanted, size in zip(gradients(layer, given, g), exact, sizes, strict=True):
        assert torch.isfinite(value).all()
        error = (value.double() - wanted).abs().max()
        assert error <= 1e-4 * wanted.abs().max() + 1e-6 * size


def gradients_and_sizes(layer, given, g):
    """Exact gradients, and the largest sum of the absolute values that each is the sum of.

    A part's weights have as gradients sums over pixels and images of products of its input and of
    the gradient of its output; with absolute values of both these are the sizes. A part is as
    large as its largest (a norm's input has no sign that counts, its bias has the size). The hooks
    let the layer take its plain form, which calls the parts.
    """
    sizes = {}

    def note(part, inputs, y):
        x, own = inputs[0].detach(), trained(part)

        def add(grad):
            with torch.enable_grad():
                summed = torch.autograd.grad(part.forward(x.abs()), own, grad.abs())
            largest = max(value.abs().max() for value in summed)
            sizes.update((p, sizes.get(p, 0.0) + largest) for p in own)

        if y.requires_grad and own:
            y.register_hook(add)

    for part in layer.modules():
        if isinstance(part, KNOWN):
            part.register_forward_hook(note)
    exact = gradients(layer, cast(given, torch.float64), g.double())
    return exact, [*[0.0] * len(given), *(sizes.get(p, 0.0) for p in trained(layer))]


@every_layer
def test_frozen_parameters_and_frozen_input(key):
    layer = build(key).double().eval()
    given = inputs(key, layer, 1, 4, 5, dtype=torch.float64)
    g = cotangent(key, layer, given[0])
    parameters = trained(layer)
    wanted = gradients(layer, given, g)
    for parameter in parameters:
        parameter.requires_grad_(False)
    alone = gradients(layer, given, g)
    for parameter in parameters:
        parameter.requires_grad_(True)
    rest = torch.autograd.grad(layer(*given), parameters, g) if parameters else ()
    for one, other in zip((*alone, *rest), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@every_layer
def test_autocast(key):
    layer = build(key).eval()
    given = inputs(key, layer, 2, 7, 5)
    exact = copy.deepcopy(layer).double()(*cast(given, torch.float64))
    for kind in (torch.float32, torch.bfloat16):
        images = [x.detach().to(kind).requires_grad_() for x in given]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(*images)
            y.float().square().sum().backward()
        assert y.dtype in (kind, torch.bfloat16)
        close(y, exact, torch.bfloat16, told(key, "SLACK", {}).get(key, 1.0))
        assert images[0].grad.dtype == kind
        assert all(torch.isfinite(p.grad).all() for p in trained(layer))


class Softmaxes(TorchDispatchMode):
    """The types that softmaxes compute in. The fused attention keeps its own in float32."""

    def __init__(self):
        super().__init__()
        self.types = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if "softmax" in str(func):
            self.types.add(result.dtype)
        return result


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_layer
def test_softmaxes_stay_in_float32_under_autocast(key, dtype):
    layer = build(key)
    seen = Softmaxes()
    with torch.autocast("cpu", dtype=dtype), seen:
        layer(*inputs(key, layer, 2, 7, 5))
    assert seen.types <= {torch.float32}


@pytest.fixture(scope="module")
def plain_process():
    """A process where shapes are not checked at run time: the checks cannot be compiled."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


@pytest.mark.slow
@every_layer
def test_compiles_without_a_break(key, plain_process):
    plain_process.apply(compile_and_compare, (key,))


def compile_and_compare(key):
    torch._dynamo.reset()
    layer = build(key).double()  # what rounding does is another test's
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for size in [(7, 5), (6, 9)]:
        given = inputs(key, layer, 2, *size, dtype=torch.float64)
        g = cotangent(key, layer, given[0])
        before = copy.deepcopy(layer.state_dict())
        torch.manual_seed(0)
        wanted = gradients(layer, given, g)
        layer.load_state_dict(before)
        torch.manual_seed(0)
        for one, other in zip(gradients(compiled, given, g), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)
    layer.eval()
    torch.testing.assert_close(compiled(*given), layer(*given), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@every_layer
def test_exports_with_free_sizes(key):
    layer = build(key).eval()
    given = inputs(key, layer, 2, 16, 17)
    if len(given) == 1 and layer.limits == (1, 1, 1):
        free = ({i: torch.export.Dim(name, min=2) for i, name in ((0, "b"), (2, "h"), (3, "w"))},)
    else:  # sizes depend on each other, or divide
        free = tuple(dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO) for _ in given)
    program = torch.export.export(layer, given, dynamic_shapes=free).module()
    least = 2 * layer.limits.least  # below, the deepest map of a pyramid is a single pixel
    for batch, *size in [(2, 16, 17), (3, 5, 33), (2, 23, 4)]:
        given = inputs(key, layer, batch, *(max(side, least) for side in size))
        torch.testing.assert_close(program(*given), layer(*given), rtol=1e-5, atol=1e-5)


def generated(key):
    """Where code is generated in tests: where compiling pays, and for a quarter of the others."""
    return bool(available()[key].worth_compiling) or zlib.crc32(key.encode()) % 4 == 0


@pytest.mark.slow
@pytest.mark.parametrize("key", list(filter(generated, LAYERS)))
def test_generated_code_equals_the_layer_as_it_starts(key, plain_process):
    """As the constructor leaves it: offsets of zero point at whole pixels, where kinks are."""
    plain_process.apply(compile_as_it_starts, (key,))


def compile_as_it_starts(key):
    torch._dynamo.reset()
    torch.manual_seed(0)
    layer = quiet(make(key).double())
    compiled = torch.compile(layer, fullgraph=True, backend="inductor")
    given = inputs(key, layer, 2, 7, 5, dtype=torch.float64)
    g = cotangent(key, layer, given[0])
    before = copy.deepcopy(layer.state_dict())
    wanted = gradients(layer, given, g)
    layer.load_state_dict(before)
    for one, other in zip(gradients(compiled, given, g), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


@every_layer
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_an_empty_batch_gives_an_empty_result(key, training):
    layer = build(key).train(training)
    before = copy.deepcopy(layer.state_dict())
    images = torch.zeros(0, CHANNELS, *fitted(layer, 7, 5), requires_grad=True)
    given = (images, *(guide.detach() for guide in with_guide(key, images)[1:]))
    for form in ("lean", "plain"):
        with choice.forced(layer=form):
            y = layer(*given)
        assert y.shape == output_shape(key, layer, images)
        y.sum().backward()
        assert images.grad.shape == images.shape
        assert all((p.grad == 0).all() for p in trained(layer))
    if hasattr(layer, "maps"):
        assert all(value is None or len(value) == 0 for value in layer.maps(*given, at=(1, 2)))
    moved = [k for k, value in layer.state_dict().items() if not torch.equal(value, before[k])]
    assert not moved, f"an empty batch moves {moved}"
    assert all(part.training == training for part in layer.modules())


@every_layer
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_gradients_are_right_where_one_image_goes_on_as_tokens(key, training):
    """torch 2.15 on CPUs: a batch norm's gradient is wrong at batch 1 before such a consumer."""
    torch.manual_seed(0)
    for options in (told(key, "OPTIONS", {}).get(key, {}), *told(key, "VARIANTS", {}).get(key, ())):
        layer = quiet(build(key, **options).double().train(training))
        for form in ("lean", "plain"):
            for layout in (torch.contiguous_format, torch.channels_last):
                given = inputs(key, layer, 1, 6, 5, dtype=torch.float64)
                given = [x.contiguous(memory_format=layout).requires_grad_() for x in given]
                with choice.forced(layer=form):
                    as_tokens(layer, given)


def as_tokens(layer, given):
    before = copy.deepcopy(layer.state_dict())
    y = layer(*given)
    tokens = 2 * y.flatten(2).transpose(1, 2)
    g = (torch.arange(y.numel()) * 0.7).sin().double().view(tokens.shape)
    found = torch.autograd.grad(tokens, [*given, *trained(layer)], g, retain_graph=True)
    right = (2 * g).mT.contiguous().view_as(y)
    right = torch.empty_like(y).copy_(right)  # the gradient of y, laid out as y is
    wanted = torch.autograd.grad(y, [*given, *trained(layer)], right)
    layer.load_state_dict(before)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("isa", {}),
        ("isa", {"down_factors": ((8, 8), (4, 2))}),
        ("psanet", {}),
        ("psanet", {"mask_size": (15, 11)}),
        ("acmix_window", {}),
        ("acmix_window", {"window_size": (4, 7), "shift": 3}),
        ("deform", {}),
    ],
    ids=str,
)
def test_exports_with_free_sizes_as_the_onnx_exporter_traces_it(key, options):
    """Not strictly, with batch, rows and columns free, and decomposed; checked at four sizes."""
    layer = build(key, **options).eval()
    free = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    program = torch.export.export(layer, inputs(key, layer, 2, 16, 24), dynamic_shapes=free)
    program = program.run_decompositions().module()
    for batch, *size in ((2, 16, 24), (3, 9, 33), (2, 40, 17), (5, 64, 48)):
        given = inputs(key, layer, batch, *size)
        torch.testing.assert_close(program(*given), layer(*given), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("key", ["isa", "psanet", "acmix_window"])
def test_onnx_files_are_right_at_other_sizes(key, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    pytest.importorskip("onnxscript", reason="the exporter of torch needs onnxscript")
    layer, file = build(key).eval(), tmp_path / "layer.onnx"
    free = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    given = inputs(key, layer, 2, 16, 24)
    torch.onnx.export(layer, given, file, dynamo=True, dynamic_shapes=free, verbose=False)
    session = runtime.InferenceSession(file)
    name = session.get_inputs()[0].name
    for batch, *size in ((2, 16, 24), (3, 9, 33), (2, 40, 17), (5, 64, 48)):
        (x,) = inputs(key, layer, batch, *size)
        y = torch.from_numpy(session.run(None, {name: x.numpy()})[0])
        torch.testing.assert_close(y, layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # torch.jit says that it is old, and warns at every size
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"modulation": False}], ids=str)
def test_deform_is_traced_by_torch_jit(options):
    layer = build("deform", **options).eval()
    given = inputs("deform", layer, 2, 8, 12)
    program = torch.jit.trace(layer, given)
    torch.testing.assert_close(program(*given), layer(*given), rtol=1e-5, atol=1e-5)


@every_layer
def test_copies_and_saves(key):
    layer = build(key).eval()
    other = make(key).eval()
    other.load_state_dict(layer.state_dict())
    given = inputs(key, layer, 1, 5, 6)
    assert torch.equal(layer(*given), other(*given))
    assert torch.equal(layer(*given), copy.deepcopy(layer)(*given))


@every_layer
def test_reset_parameters_draws_as_the_constructor_does(key):
    fresh, layer = make(key, 64), build(key, 64)
    layer.reset_parameters()
    for name, wanted in fresh.named_parameters():
        value = layer.get_parameter(name)
        if wanted.numel() > 1 and wanted.min() == wanted.max():
            assert torch.equal(value, wanted), name
        elif wanted.numel() > 500:
            assert 0.8 < value.norm() / wanted.norm() < 1.25, (
                f"{name} starts otherwise in the constructor: let that call self.reset_parameters()"
            )


@every_layer
def test_nothing_is_kept_without_gradients(key):
    layer = build(key)
    with torch.no_grad():
        assert layer(*inputs(key, layer, 1, 5, 6)).grad_fn is None


@every_layer
def test_second_derivatives(key):
    layer = build(key, 8).double().eval()
    given = [x.requires_grad_() for x in inputs(key, layer, 1, 3, 3, c=8, dtype=torch.float64)]
    total = layer(*given).square().sum()
    wanted = torch.autograd.grad(total, given, retain_graph=True)
    for one, other in zip(
        torch.autograd.grad(total, given, create_graph=True), wanted, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert torch.autograd.gradgradcheck(layer, given, fast_mode=True)


@every_layer
def test_cost_grows_as_declared(key, record_property):
    layer = make(key, 64).to("meta").eval()

    def cost(side):
        return flops(layer, *with_guide(key, torch.empty(1, 64, side, side, device="meta")))

    less, more = told(key, "SIDES", (256, 512))
    growth = cost(more) / cost(less)
    exponent = layer.cost_exponent
    assert growth == pytest.approx((more / less) ** (2 * exponent), rel=0.05), (
        f"from {less} to {more} rows FLOPs grow {growth:.2f} times, as (h w) ** "
        f"{math.log(growth, (more / less) ** 2):.2f}: set cost_exponent, or other SIDES in the test"
    )
    record_property("cell", f"{exponent:g}")


@attending
@pytest.mark.parametrize("where", [0.0, 0.6, 1.0])
def test_output_is_reconstructed_from_the_maps(key, where):
    layer = build(key).double().eval()
    given = inputs(key, layer, 2, 7, 5, dtype=torch.float64)
    y = layer(*given)
    at = tuple(int(where * (size - 1)) for size in y.shape[2:])
    reconstruct = told(key, "reconstruct")
    assert reconstruct is not None, "write reconstruct(layer, x, at) into the layer's test file"
    found = reconstruct(layer, *given, at)
    torch.testing.assert_close(found, y[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


@attending
def test_maps_have_the_declared_shapes(key):
    layer = build(key)
    given = inputs(key, layer, 2, 7, 5)
    maps = layer.maps(*given, at=(1, 2))
    assert maps.spatial is not None or maps.channel is not None, "maps gave no map at all"
    if maps.spatial is not None:
        assert maps.spatial.shape[0] == len(given[0])
        assert maps.spatial.shape[2:] == given[0].shape[2:]
    if maps.channel is not None:
        assert maps.channel.ndim in (2, 3)
        assert maps.channel.shape[0] == len(given[0])


@attending
def test_maps_take_their_inputs_by_name(key):
    layer = build(key).eval()
    given = inputs(key, layer, 1, 7, 5)
    named = dict(zip(("x", "guide"), given, strict=False))
    by_place, by_name = layer.maps(*given, at=(1, 2)), layer.maps(**named, at=(1, 2))
    for one, other in zip(by_place, by_name, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@attending
def test_maps_change_nothing(key):
    layer = build(key).train()
    before = copy.deepcopy(layer.state_dict())
    layer.maps(*inputs(key, layer, 2, 7, 5), at=(1, 2))
    moved = [
        name for name, value in layer.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert not moved, f"maps changes {moved}: only forward may, in training"


@attending
def test_maps_need_memory_linear_in_the_pixels(key, monkeypatch):
    monkeypatch.setattr(blocks, "PRODUCT_BLOCK", 1 << 12)
    monkeypatch.setattr(blocks, "PASS_BLOCK", 1 << 12)
    layer = build(key, 8).eval()
    given = inputs(key, layer, 1, 32, 40, c=8)
    with torch.no_grad(), Largest() as seen:
        maps = layer.maps(*given, at=(3, 4))
    shown = 0 if maps.spatial is None else maps.spatial.numel()
    assert seen.elements <= max(4 * given[0].numel(), 2 * shown), (
        f"maps wrote a tensor of {seen.elements} elements: compute the row of the pixel `at` alone"
    )


@attending
def test_maps_are_one_for_all_pixels_or_need_a_pixel_of_the_map(key):
    layer = build(key).eval()
    given = inputs(key, layer, 1, 7, 5)
    height, width = given[0].shape[2:]
    if key in told(key, "PER_PIXEL", ()):
        for at in [None, (-1, 0), (height, 0), (0, width)]:
            with pytest.raises(InputError, match="at="):
                layer.maps(*given, at=at)
        return
    maps = layer.maps(*given, at=None)
    for at in [(0, 0), (2, 3)]:
        for one, other in zip(maps, layer.maps(*given, at=at), strict=True):
            assert (one is None and other is None) or torch.equal(one, other)


@every_layer
def test_checkpoint_that_does_not_fit_is_refused_whole(key):
    layer = build(key)
    theirs = reference_state(layer) if has_reference(layer) else {}
    before = copy.deepcopy(layer.state_dict())
    faults = [(theirs | {"someone.else": torch.zeros(1)}, "left over: someone.else")]
    for first in list(theirs)[:1]:  # none where there are no parameters or no known names
        faults.append((dict(list(theirs.items())[1:]), "missing: "))
        faults.append((theirs | {first: torch.zeros(3, 5, 7)}, f"wrong shape: {first}"))
    for state, fault in faults:
        with pytest.raises(InputError, match=fault):
            layer.load_reference(state)
        assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def reference_state(layer):
    """The layer's own weights under the names of the first source that has them."""
    return {their_name(layer, key): value.clone() for key, value in layer.state_dict().items()}


def their_name(module, name):
    for theirs, ours in module.reference_keys.items():
        if name == ours or name.startswith(ours + ".") or not ours:
            rest = name.removeprefix(ours).removeprefix(".")
            part = module.get_submodule(ours) if ours in dict(module.named_modules()) else None
            if rest and ours and isinstance(part, ReferenceWeights):
                rest = their_name(part, rest)
            found = ".".join(word for word in (theirs, rest) if word)
            if module.reference_name(found) == name:
                return found
    raise AssertionError(
        f"reference_keys of {type(module).__name__} have no name for {name!r}: add that of the "
        "authors, or leave reference_keys out where no checkpoint of theirs is known"
    )


def has_reference(layer):
    """Whether the authors' names are known; a layer without parameters needs none."""
    return bool(layer.reference_keys) or not layer.state_dict()


@every_layer
def test_reference_checkpoint_round_trip(key):
    layer, other = build(key).eval(), make(key).eval()
    if not has_reference(layer):
        pytest.skip("no checkpoint of the authors is known")
    other.load_reference(reference_state(layer))
    given = inputs(key, layer, 1, 4, 5)
    assert torch.equal(layer(*given), other(*given))


@every_layer
def test_unknown_option_is_named(key):
    with pytest.raises(InputError, match="unknown option of layer"):
        create(key, CHANNELS, no_such_option=1)


@every_layer
def test_no_channels_are_refused(key):
    with pytest.raises(InputError, match="channels=0: must be at least"):
        create(key, 0)


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@every_layer
def test_memory_is_as_predicted(key, training):
    layer = build(key).train(training)
    given = inputs(key, layer, 2, 17, 20)

    def run():
        images = [x.requires_grad_(training) for x in given]
        with torch.set_grad_enabled(training):
            y = layer(*images)
        if training:
            learnt = [p for p in layer.parameters() if p.requires_grad]
            torch.autograd.grad(y, [*images, *learnt], torch.empty_like(y))

    shapes = [x.shape for x in given]
    wanted = measured(run).peak_bytes
    assert abs(predict(layer, *shapes) / wanted - 1) < 0.15, (
        "cost.predict is off by more than 15 %: is memory taken that does not follow from shapes?"
    )
    assert layer.training == training
