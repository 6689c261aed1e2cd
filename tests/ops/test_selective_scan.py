import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from largest import Largest
from pixelwise.cost import predict
from pixelwise.layers.registry import create
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.selective_scan import lean, selective_scan

ROUTES = [(1, 1, 0), (1, 1, 1), (2, 4, 2)]
"""Sequences, directions, and how many of these go backwards."""


def draw(b=2, s=1, k=1, length=5, e=3, n=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(length)
    shapes = [(b, s, length, e), (b, k, length, e), (k, e, n), *[(b, k, length, n)] * 2]
    x, step, rate, write, read = (torch.randn(z, generator=generator).double() for z in shapes)
    found = [x, step.abs(), -3 * rate.abs(), write, read]
    return [z.to(dtype).requires_grad_() for z in found]


def run(form, inputs, backwards):
    with choice.forced(selective_scan=form):
        y = selective_scan(*inputs, backwards)
    g = (torch.arange(y.numel()) * 0.7).cos().view(y.shape).to(y.dtype)
    rest = {"allow_unused": True, "materialize_grads": True}
    return [y, *torch.autograd.grad(y, inputs, g, **rest)]


@pytest.mark.parametrize("length", [1, 2, 3, 6, 17])
@pytest.mark.parametrize(("s", "k", "backwards"), ROUTES)
def test_all_forms_are_one(length, s, k, backwards, monkeypatch):
    inputs = draw(s=s, k=k, length=length)
    wanted = run("plain", inputs, backwards)
    for form, budget in (("lean", 1 << 19), ("lean", 30), ("lean", 1), ("traced", 1)):
        monkeypatch.setattr(lean, "RUN", budget)
        for one, other in zip(run(form, inputs, backwards), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_the_whole_batch_at_once(monkeypatch):
    inputs = draw(s=2, k=4)
    wanted = run("lean", inputs, 2)
    monkeypatch.setattr(blocks, "cached", lambda device: False)
    for one, other in zip(run("lean", inputs, 2), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("back", [False, True])
def test_equals_the_closed_form(back):
    x, step, rate, write, read = draw(b=1, length=9)
    d = step[0, 0].flip(0) if back else step[0, 0]
    sums = d.cumsum(0)
    gap = sums[:, None] - sums  # of the steps after s up to t
    decay = (gap[..., None] * rate[0]).exp() * torch.ones(9, 9).tril()[..., None, None].double()
    b, c, u = (z[0, 0].flip(0) if back else z[0, 0] for z in (write, read, x))
    wanted = torch.einsum("tn,tsen,sn,se,se->te", c, decay, b, d, u)
    found = selective_scan(x, step, rate, write, read, int(back))[0, 0]
    torch.testing.assert_close(found.flip(0) if back else found, wanted, rtol=1e-12, atol=1e-12)


def test_decays_of_any_size_neither_overflow_nor_lose_what_comes_after():
    """A form with e^(a_t) e^(-a_s) apart is not a number here; e^-400 and below are zero."""
    x, step, rate, write, read = draw(b=1, length=600, dtype=torch.float32)
    step = step.detach() * torch.logspace(-6, 6, 600)[:, None]
    wanted = run(
        "plain", [z.double().detach().requires_grad_() for z in (x, step, rate, write, read)], 0
    )
    found = run("lean", [x, step.requires_grad_(), rate, write, read], 0)
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= 2e-5 * other.abs().max()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16], ids=str)
def test_half_types_are_summed_in_float32(kind):
    inputs = draw(length=40, dtype=torch.float32)
    inputs[0] = inputs[0].detach().to(kind).requires_grad_()
    found = run("lean", inputs, 0)
    exact = run("plain", [z.detach().double().requires_grad_() for z in inputs], 0)
    assert found[0].dtype == torch.float32
    assert found[1].dtype == kind
    for one, other in zip((found[0], *found[2:]), (exact[0], *exact[2:]), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_memory_is_bounded_by_the_run(monkeypatch):
    monkeypatch.setattr(lean, "RUN", 1 << 10)
    inputs = draw(b=1, s=1, k=2, length=512, e=8, n=8, dtype=torch.float32)
    with Largest() as seen:
        run("lean", inputs, 1)
    assert seen.elements <= inputs[3].numel(), "the states of all places were written"


class Calls(TorchDispatchMode):
    """How many operations are called."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_a_long_sequence_takes_few_calls():
    """The number of calls grows as the logarithm of the places of a run."""
    counts = []
    for length in (64, 4096):
        inputs = draw(b=1, length=length, e=2, n=1)
        with Calls() as seen:
            selective_scan(*inputs, 0)
        counts.append(seen.count)
    assert counts[1] < 2.2 * counts[0]


def test_memory_is_foretold_from_a_few_runs(monkeypatch):
    layer = create("ss2d", 8)
    monkeypatch.setattr(lean, "RUN", 1 << 14)
    few = predict(layer, (1, 8, 24, 24), training=True)
    monkeypatch.setattr(lean, "_worked", lambda x, runs: list(range(len(runs))))
    assert few == predict(layer, (1, 8, 24, 24), training=True)
