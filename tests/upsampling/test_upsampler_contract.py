"""What every upsampler promises. A new one is covered without a change here."""

import copy
import multiprocessing

import pytest
import torch

from pixelwise.cost import flops
from pixelwise.errors import InputError
from pixelwise.layers.upsampling.registry import available, create_upsampler, options
from pixelwise.ops.running import choice

KEYS = list(available())
CHANNELS, GUIDES = 16, 8
OPTIONS = {
    "carafe": [
        {"hidden": 8, "kernel_size": 3},
        {"hidden": 6, "groups": 2, "kernel_size": 3, "scale": 3},
    ],
    "dysample": [{}, {"style": "pl"}, {"dynamic_range": True, "groups": 2, "scale": 3}],
    "freqfusion": [
        {"hidden": 8, "low_kernel": 3},
        {"hidden": 8, "resample": True, "padding": "mirror"},
        {"hidden": 8, "groups": 2, "guided": False, "residual": False},
        {"hidden": 8, "guided": False, "summed": True, "hamming": False, "high_pass": False},
    ],
}
CASES = [(key, chosen) for key in KEYS for chosen in OPTIONS.get(key, [{}])]
SIZES = [((1, 1), (1, 1)), ((1, 1), (3, 2)), ((4, 3), (8, 6)), ((3, 5), (5, 9)), ((6, 5), (4, 4))]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 8e-3, torch.bfloat16: 5e-2}
COARSE, FINE = (4, 3), (7, 6)

every_case = pytest.mark.parametrize(("key", "chosen"), CASES, ids=str)
every_upsampler = pytest.mark.parametrize("key", KEYS)


def built(key, chosen=None, channels=CHANNELS):
    """Every parameter matters: none is left at zero."""
    torch.manual_seed(3)
    chosen = OPTIONS.get(key, [{}])[0] if chosen is None else chosen
    made = create_upsampler(key, channels, guide_channels=GUIDES, **chosen)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def maps(coarse=COARSE, fine=FINE, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(batch, CHANNELS, *coarse, generator=generator).to(dtype)
    return x, torch.randn(batch, GUIDES, *fine, generator=generator).to(dtype)


def waves(y):
    return (torch.arange(y.numel()) * 0.7).sin().view(y.shape).to(y.dtype)


def gradients(upsampler, given):
    given = [x.detach().clone().requires_grad_() for x in given]
    outputs = upsampler.both(*given)
    loss = sum((y * waves(y)).sum() for y in outputs)
    inputs = [*given, *upsampler.parameters()]
    return outputs, torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True)


@every_case
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_any_size_and_type(key, chosen, dtype):
    upsampler = built(key, chosen).to(dtype)
    exact = copy.deepcopy(upsampler).double()
    for coarse, fine in SIZES:
        given = maps(coarse, fine, dtype=dtype)
        outputs = upsampler.both(*given)
        assert [y.shape for y in outputs] == [(2, CHANNELS, *fine), (2, GUIDES, *fine)]
        assert {y.dtype for y in outputs} == {dtype}
        for y, wanted in zip(outputs, exact.both(*(z.double() for z in given)), strict=True):
            error = (y.double() - wanted).abs().max() / wanted.abs().max()
            assert error <= TOLERANCE[dtype], (coarse, fine)


@every_case
def test_forward_is_the_first_of_both(key, chosen):
    upsampler, given = built(key, chosen).double(), maps()
    assert torch.equal(upsampler(*given), upsampler.both(*given)[0])


@every_upsampler
def test_only_one_that_uses_the_guide_depends_on_it(key):
    upsampler, (x, fine) = built(key).double(), maps()
    large, detail = upsampler.both(x, fine)
    assert torch.equal(large, upsampler(x, fine.flip(3))) is not upsampler.uses_guide
    assert torch.equal(detail, fine) is not upsampler.uses_guide


@every_case
@pytest.mark.parametrize(("coarse", "fine"), SIZES)
def test_forms_are_equal(key, chosen, coarse, fine):
    upsampler, given = built(key, chosen).double(), maps(coarse, fine)
    wanted = gradients(upsampler, given)
    for forms in (
        {"reassembly": "plain", "point_reading": "plain"},
        {"reassembly": "traced", "point_reading": "traced"},
    ):
        with choice.forced(**forms):
            torch.testing.assert_close(gradients(upsampler, given), wanted, rtol=1e-9, atol=1e-9)


@every_case
def test_gradients_by_finite_differences(key, chosen):
    upsampler, given = built(key, chosen).double(), maps((2, 2), (3, 4), batch=1)
    given = [z.requires_grad_() for z in given]
    assert torch.autograd.gradcheck(upsampler.both, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(upsampler.both, given, fast_mode=True)


@every_case
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_transforms_of_torch_func(key, chosen):
    upsampler, given = built(key, chosen).double(), maps()
    several = tuple(torch.stack([z, 2 * z]) for z in given)
    found = torch.func.vmap(upsampler)(*several)
    for i in range(2):
        torch.testing.assert_close(found[i], upsampler(*(z[i] for z in several)))
    y, moved = torch.func.jvp(upsampler, given, tuple(z.sin() for z in given))
    assert moved.shape == y.shape
    assert torch.isfinite(moved).all()


@every_upsampler
def test_memory_format_is_kept_and_nothing_is_modified(key):
    upsampler, given = built(key).double(), maps()
    wanted = gradients(upsampler, given)
    others = [z.contiguous(memory_format=torch.channels_last) for z in given]
    before = [z.clone() for z in others]
    found = gradients(upsampler, others)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    assert found[0][0].is_contiguous(memory_format=torch.channels_last)
    assert wanted[0][0].is_contiguous()
    assert all(map(torch.equal, others, before))


@every_case
def test_autocast(key, chosen):
    upsampler, given = built(key, chosen), maps(dtype=torch.float32)
    exact = copy.deepcopy(upsampler).double()(*(z.double() for z in given))
    given = [z.requires_grad_() for z in given]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = upsampler(*given)
        y.float().square().sum().backward()
    assert (y.double() - exact).abs().max() <= 5e-2 * exact.abs().max()
    assert torch.isfinite(given[0].grad).all()


@every_upsampler
def test_cost_grows_as_declared(key):
    with torch.device("meta"):
        upsampler = built(key).eval()
        small, large = (
            flops(upsampler, torch.empty(1, CHANNELS, s, s), torch.empty(1, GUIDES, 2 * s, 2 * s))
            for s in (64, 128)
        )
    if small:  # resizing alone is not counted
        assert large / small == pytest.approx(4**upsampler.cost_exponent, rel=0.05)


@every_upsampler
def test_an_empty_batch_gives_an_empty_result(key):
    upsampler = built(key)
    given = [z.requires_grad_() for z in maps(batch=0, dtype=torch.float32)]
    large, detail = upsampler.both(*given)
    assert (large.shape, detail.shape) == ((0, CHANNELS, *FINE), (0, GUIDES, *FINE))
    (large.sum() + detail.sum()).backward()
    assert given[0].grad.shape == given[0].shape


@every_upsampler
def test_copies_and_saves(key):
    upsampler, given = built(key).double(), maps()
    twin = create_upsampler(
        key, CHANNELS, guide_channels=GUIDES, dtype=torch.float64, **OPTIONS.get(key, [{}])[0]
    )
    twin.load_state_dict(upsampler.state_dict())
    wanted = upsampler(*given)
    assert torch.equal(twin(*given), wanted)
    assert torch.equal(copy.deepcopy(upsampler)(*given), wanted)


@every_upsampler
def test_a_part_with_a_hook_has_its_effect(key):
    upsampler, given = built(key).double(), maps()
    before = upsampler.both(*given)
    for name, part in upsampler.named_modules():
        if name and part._parameters:
            handle = part.register_forward_hook(lambda _, inputs, y: 1.5 * y + y.sin())
            after = upsampler.both(*given)
            handle.remove()
            assert not all(map(torch.allclose, before, after)), name


@every_upsampler
def test_maps_that_do_not_fit_are_refused(key):
    upsampler, (x, fine) = built(key).double(), maps()
    for given, told in (
        ((x[:, 1:], fine), "made for 16 channels of the coarse map; make it with channels=15"),
        ((x[0], fine), "takes maps of shape"),
        ((x, fine[0]), "takes maps of shape"),
        ((x.long(), fine), "takes tensors of real numbers"),
        ((x, fine[:1]), "must have as many images as x, 2; give"),
    ):
        with pytest.raises(InputError, match=told):
            upsampler(*given)
    if upsampler.uses_guide:
        with pytest.raises(InputError, match="8 channels of the fine map; make it with guide_chan"):
            upsampler(x, fine[:, 1:])


@every_upsampler
def test_a_class_says_what_lists_show(key):
    kind = available()[key]
    assert kind.title
    assert "Source:" in __import__(kind.__module__, fromlist=["x"]).__doc__
    assert all(f"    {name}: " in kind.__doc__ for name in options(key))


@pytest.fixture(scope="module")
def plain_process():
    """A process where shapes are not checked at run time: the checks cannot be compiled."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


@pytest.mark.slow
@every_upsampler
def test_compiles_without_a_break(key, plain_process):
    plain_process.apply(compile_and_compare, (key,))


def compile_and_compare(key):
    torch._dynamo.reset()
    upsampler = built(key).double()
    compiled = torch.compile(upsampler.both, fullgraph=True, dynamic=True, backend="aot_eager")
    for coarse, fine in (COARSE, FINE), ((6, 5), (12, 10)):
        torch.testing.assert_close(
            compiled(*maps(coarse, fine)), upsampler.both(*maps(coarse, fine))
        )


@pytest.mark.slow
@every_case
def test_exports_with_free_sizes(key, chosen):
    upsampler = built(key, chosen).double().eval()
    free = tuple({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} for _ in range(2))
    program = torch.export.export(upsampler, maps((8, 9), (16, 17)), dynamic_shapes=free).module()
    for coarse, fine in ((8, 9), (16, 17)), ((5, 6), (10, 12)), ((7, 3), (13, 20)):
        given = maps(coarse, fine)
        torch.testing.assert_close(program(*given), upsampler(*given), rtol=1e-9, atol=1e-9)
