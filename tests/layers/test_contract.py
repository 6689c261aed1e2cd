"""What every layer promises. A new layer is covered without a change here.

A layer in `<module>.py` brings `test_<module>.py` with a function `reconstruct(layer, x, at)`: the
output at the pixel `at`, computed from `layer.maps(x, at)` and the plain equations.
"""

import copy
import importlib
import multiprocessing

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pixelwise.cost import flops
from pixelwise.errors import InputError
from pixelwise.layers.registry import available, create

LAYERS = list(available())
CHANNELS = 16
SIZES = [(1, 1), (1, 17), (7, 5), (33, 64)]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}

pytestmark = pytest.mark.parametrize("key", LAYERS)


def build(key, channels=CHANNELS):
    """A layer whose every parameter matters: none is left at zero, where it may hide others."""
    torch.manual_seed(3)
    layer = create(key, channels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def picture(b, h, w, c=CHANNELS, dtype=torch.float32):
    return torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(h * w + b)).to(dtype)


def close(a, b, dtype):
    scale = b.abs().max().clamp(min=1e-30)
    assert ((a.double() - b.double()).abs().max() / scale) <= TOLERANCE[dtype]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_size_and_type_are_kept(key, size, batch, dtype):
    layer = build(key).eval()
    x = picture(batch, *size).to(dtype)
    exact = copy.deepcopy(layer).to(dtype).double()(x.double())
    y = layer.to(dtype)(x)
    assert y.shape == x.shape
    assert y.dtype == dtype
    close(y, exact, dtype)


def test_memory_format_is_kept(key):
    layer = build(key).eval()
    x = picture(2, 7, 5)
    last = x.to(memory_format=torch.channels_last)
    y = layer(last)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert layer(x).is_contiguous()
    torch.testing.assert_close(y, layer(x), rtol=1e-5, atol=1e-5)


def gradients(layer, x, g):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(layer(x), [x, *layer.parameters()], g)


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


def test_layout_does_not_matter_and_nothing_is_modified(key):
    layer = build(key).double()
    x, g = picture(2, 6, 5).double(), picture(2, 6, 5).double().cos()
    expected = gradients(layer, x, g)
    for other, cotangent in zip(strided(x), strided(g), strict=True):
        before, before_g = other.clone(), cotangent.clone()
        for found, wanted in zip(gradients(layer, other, cotangent), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
        assert torch.equal(other, before)
        assert torch.equal(cotangent, before_g)


@pytest.mark.parametrize("after", ["psa_p", "psa_s"])
def test_the_gradient_between_two_layers_is_left_alone(key, after):
    first, second = build(key).double(), build(after).double()
    x, g = picture(2, 6, 5).double().requires_grad_(), picture(2, 6, 5).double().cos()
    between = first(x)
    both = torch.autograd.grad(second(between), [between, x], g)
    between = first(x).detach().requires_grad_()
    (alone,) = torch.autograd.grad(second(between), [between], g)
    torch.testing.assert_close(both[0], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_the_formula(key, training):
    layer = build(key, 8).double().train(training)
    x = picture(2, 3, 4, c=8).double().requires_grad_()
    names = dict(layer.named_parameters())

    def run(image, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(copy.deepcopy(layer), given, (image,))

    assert torch.autograd.gradcheck(run, (x, *names.values()), fast_mode=True)


def test_float32_training_gradients_are_finite_and_close(key):
    layer = build(key).train()
    x, g = picture(2, 9, 8), picture(2, 9, 8).sin()
    exact = gradients(copy.deepcopy(layer).double(), x.double(), g.double())
    for found, wanted in zip(gradients(layer, x, g), exact, strict=True):
        assert torch.isfinite(found).all()
        scale = max(exact[1].abs().max(), wanted.abs().max())  # a zero gradient has no scale
        assert (found.double() - wanted).abs().max() <= 1e-4 * scale


def test_frozen_parameters_and_frozen_input(key):
    layer = build(key).double()
    x, g = picture(1, 4, 5).double(), picture(1, 4, 5).double().cos()
    d_x, *d_parameters = gradients(layer, x, g)
    for frozen in [*layer.parameters()]:
        frozen.requires_grad_(False)
    (alone,) = gradients_of_input(layer, x, g)
    torch.testing.assert_close(alone, d_x, rtol=1e-12, atol=1e-12)
    for parameter in layer.parameters():
        parameter.requires_grad_(True)
    found = torch.autograd.grad(layer(x), list(layer.parameters()), g)
    for one, other in zip(found, d_parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def gradients_of_input(layer, x, g):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(layer(x), [x], g)


def test_autocast(key):
    layer = build(key)
    x = picture(2, 7, 5)
    exact = copy.deepcopy(layer).double()(x.double())
    for image in (x, x.bfloat16()):
        image = image.requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(image)
            y.float().square().sum().backward()
        assert y.dtype == image.dtype
        close(y, exact, torch.bfloat16)
        assert image.grad.dtype == image.dtype
        assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.fixture(scope="module")
def plain_process():
    """A process where shapes are not checked at run time: the checks cannot be compiled."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_without_a_break(key, dynamic, plain_process):
    plain_process.apply(compile_and_compare, (key, dynamic))


def compile_and_compare(key, dynamic):
    torch._dynamo.reset()
    layer = build(key)
    compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for size in [(7, 5), (6, 9)]:
        x, g = picture(2, *size), picture(2, *size).cos()
        wanted, found = gradients(layer, x, g), gradients(compiled, x, g)
        layer.eval()
        torch.testing.assert_close(compiled(x), layer(x), rtol=1e-4, atol=1e-5)
        layer.train()
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_exports_with_free_height_and_width(key):
    layer = build(key).eval()
    free = {2: torch.export.Dim("h", min=2), 3: torch.export.Dim("w", min=2)}
    program = torch.export.export(layer, (picture(2, 8, 9),), dynamic_shapes=(free,)).module()
    for size in [(8, 9), (5, 17), (23, 4)]:
        x = picture(2, *size)
        torch.testing.assert_close(program(x), layer(x), rtol=1e-5, atol=1e-5)


def test_copies_and_saves(key):
    layer = build(key).eval()
    other = create(key, CHANNELS).eval()
    other.load_state_dict(layer.state_dict())
    x = picture(1, 5, 6)
    assert torch.equal(layer(x), other(x))
    assert torch.equal(layer(x), copy.deepcopy(layer)(x))


def test_reset_parameters_draws_as_the_constructor_does(key):
    fresh, layer = create(key, 64), build(key, 64)
    layer.reset_parameters()
    for name, wanted in fresh.named_parameters():
        value = layer.get_parameter(name)
        if wanted.min() == wanted.max():
            assert torch.equal(value, wanted), name
        elif wanted.numel() > 500:
            assert 0.8 < value.norm() / wanted.norm() < 1.25, name


def test_nothing_is_kept_without_gradients(key):
    layer = build(key)
    with torch.no_grad():
        assert layer(picture(1, 5, 6)).grad_fn is None


def test_second_derivatives_are_refused_or_right(key):
    layer = build(key, 8).double()
    x = picture(1, 3, 3, c=8).double().requires_grad_()
    (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_cost_grows_as_declared(key):
    layer = create(key, 64).to("meta").eval()

    def cost(side):
        return flops(layer, torch.empty(1, 64, side, side, device="meta"))

    growth = cost(512) / cost(256)
    assert growth == pytest.approx(4 ** available()[key].cost_exponent, rel=0.05)


@pytest.mark.parametrize("at", [(0, 0), (4, 2), (6, 4)], ids=str)
def test_output_is_reconstructed_from_the_maps(key, at):
    module = available()[key].__module__.rpartition(".")[2]
    reconstruct = importlib.import_module(f"test_{module}").reconstruct
    layer = build(key).double().eval()
    x = picture(2, 7, 5).double()
    found = reconstruct(layer, x, at)
    torch.testing.assert_close(found, layer(x)[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)


def test_maps_have_the_declared_shapes(key):
    x = picture(2, 7, 5)
    maps = build(key).maps(x, at=(1, 2))
    assert maps.spatial is not None or maps.channel is not None
    if maps.spatial is not None:
        assert maps.spatial.shape[0] == 2
        assert maps.spatial.shape[2:] == (7, 5)
    if maps.channel is not None:
        assert maps.channel.shape in [(2, CHANNELS), (2, CHANNELS, CHANNELS)]


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_maps_need_memory_linear_in_the_pixels(key):
    layer = build(key, 8).eval()
    with torch.no_grad(), Largest() as seen:
        layer.maps(picture(1, 32, 40, c=8), at=(3, 4))
    assert seen.elements <= 2 * 8 * 32 * 40


@pytest.mark.parametrize("at", [None, (-1, 0), (7, 0), (0, 5)], ids=str)
def test_pairwise_maps_need_a_pixel_of_the_map(key, at):
    layer = build(key)
    if available()[key].cost_exponent <= 1:
        assert layer.maps(picture(1, 7, 5), at=None) is not None
        return
    with pytest.raises(InputError, match="at="):
        layer.maps(picture(1, 7, 5), at=at)


def test_checkpoint_that_does_not_fit_is_refused_whole(key):
    layer = build(key)
    theirs = reference_state(layer)
    before = copy.deepcopy(layer.state_dict())
    missing = dict(list(theirs.items())[1:])
    surplus = theirs | {"someone.else": torch.zeros(1)}
    first = next(iter(theirs))
    misshapen = theirs | {first: torch.zeros(3, 5, 7)}
    for state, fault in [
        (missing, "missing: "),
        (surplus, "left over: someone.else"),
        (misshapen, f"wrong shape: {first}"),
    ]:
        with pytest.raises(InputError, match=fault):
            layer.load_reference(state)
        assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def reference_state(layer):
    """The layer's own weights under the names of the first source that has them."""
    back = {}
    for theirs, ours in layer.reference_keys.items():
        back.setdefault(ours, theirs)
    state = {}
    for name, value in layer.state_dict().items():
        ours = next(o for o in back if name == o or name.startswith(o + "."))
        state[back[ours] + name.removeprefix(ours)] = value.clone()
    return state


def test_reference_checkpoint_round_trip(key):
    layer, other = build(key).eval(), create(key, CHANNELS).eval()
    other.load_reference(reference_state(layer))
    x = picture(1, 4, 5)
    assert torch.equal(layer(x), other(x))


def test_unknown_option_is_named(key):
    with pytest.raises(InputError, match="unknown option of layer"):
        create(key, CHANNELS, no_such_option=1)


def test_no_channels_are_refused(key):
    with pytest.raises(InputError, match="channels=0: must be at least"):
        create(key, 0)
