"""Which form is taken, and that nothing else changes meanwhile."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise import create_layer
from pixelwise.compiling import measuring, per_mode, verdicts
from pixelwise.compiling.measuring import judged, measured
from pixelwise.compiling.per_mode import compiled
from pixelwise.layers.base import AttentionLayer
from pixelwise.ops.running import choice


def build(key="bam"):
    torch.manual_seed(3)
    return create_layer(key, 16)


def picture(*size):
    size = size or (2, 16, 7, 6)
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def modes(layer):
    return layer.forward.modes


@pytest.mark.parametrize(("faster", "taken"), [(1.2, True), (1.05, False), (0.5, False)])
@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_tenth_less_time_decides(pretended, faster, taken, mode):
    pretended.faster = faster
    layer = compiled(build())
    with torch.set_grad_enabled(mode == "train"):
        for _ in range(3):
            layer(picture())
    assert modes(layer) == ({mode} if taken else set())
    assert pretended.measured == 1
    assert pretended.used == (4 if taken else 1)
    (verdict,) = verdicts.found()
    assert (verdict.taken, verdict.ratio) == (taken, faster)
    assert verdict.why == ("faster" if taken else "slower")


STEADY = [2.0, 2.01, 2.02, 1.99, 1.98]


@pytest.mark.parametrize(
    ("ours", "theirs", "faster"),
    [
        (STEADY, [1.0] * 5, True),
        (STEADY, STEADY, False),
        ([2.0, 2.0, 90.0, 2.0, 2.0], [1.0] * 5, True),  # a stall
        ([2.0, 2.0, 90.0, 2.0, 2.0], STEADY, False),
        ([2.0, 9.0, 9.0, 9.0, 2.0], [2.0, 2.0, 3.0, 3.0, 2.0], False),  # stalls of the one alone
    ],
)
def test_a_stall_does_not_decide(ours, theirs, faster):
    assert judged((ours, theirs))[1] is faster


def test_there_is_another_round_where_times_differ(monkeypatch):
    taken = iter([5.0, 1.0, 9.0, 30.0] * 100)
    monkeypatch.setattr(measuring, "seconds", lambda work: next(taken))
    ours, theirs = measuring.timed(list, list)
    assert len(ours) == len(theirs) == measuring.ROUNDS * measuring.LEAST
    monkeypatch.setattr(measuring, "seconds", lambda work: 2.0)
    assert measuring.timed(list, list) == ([2.0] * 5, [2.0] * 5)


def bent(y, x):
    """The right numbers, with a wrong gradient."""
    return y + 0.1 * (x - x.detach())


@pytest.mark.parametrize(
    ("spoil", "mode"),
    [
        (lambda y, x: 1.001 * y, "forward"),
        (lambda y, x: y + float("nan"), "forward"),
        (lambda y, x: y.double(), "forward"),
        (lambda y, x: y.contiguous(memory_format=torch.channels_last), "forward"),
        (lambda y, x: y[:1], "forward"),
        (bent, "train"),
    ],
)
def test_a_form_that_differs_is_refused(pretended, spoil, mode):
    pretended.spoil = spoil
    layer = compiled(build().eval())
    with torch.set_grad_enabled(mode == "train"):
        x = picture().requires_grad_(mode == "train")
        torch.testing.assert_close(layer(x), build().eval()(x))
    assert not modes(layer)
    assert [verdict.why for verdict in verdicts.found()] == ["differs"]


def test_a_form_that_moves_other_statistics_is_refused(pretended, monkeypatch):
    def form(layer):
        def spoil(y, x):
            layer.norm.running_mean += 1
            return y

        pretended.spoil = spoil
        return pretended.form(layer)

    monkeypatch.setattr(measuring, "compiled_form", form)
    compiled(build())(picture())
    assert [verdict.why for verdict in verdicts.found()] == ["differs"]


def test_measuring_changes_nothing(pretended):
    pretended.faster = 0.5
    layer, plain = build(), build()
    for one in (layer, plain):
        one(picture()).sum().backward()
    kept, calls = copy.deepcopy(plain.state_dict()), []
    gradients = [value.grad.clone() for value in layer.parameters()]
    versions = [value._version for value in (*layer.parameters(), *layer.buffers())]
    layer.register_forward_hook(lambda *_: calls.append(1))
    drawn = torch.get_rng_state(), np.random.get_state()[1].copy()
    x = picture().requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(1) or t, lambda t: t):
        assert measured(layer, "train", (x,)) is not None
    assert not saved
    assert not calls
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert (np.random.get_state()[1] == drawn[1]).all()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, kept[name])
    for value, before in zip(layer.parameters(), gradients, strict=True):
        assert torch.equal(value.grad, before)
    assert versions == [value._version for value in (*layer.parameters(), *layer.buffers())]
    assert torch.equal(compiled(layer)(x), plain(x))
    assert len(calls) == 1


def test_random_numbers_that_are_drawn_meanwhile_are_drawn_again():
    with measuring._aside("train"):
        drawn = random.random(), torch.rand(3)
    assert (random.random(), *torch.rand(3)) == (drawn[0], *drawn[1])


def test_an_interruption_leaves_everything_usable(pretended, monkeypatch):
    def stop(ours, theirs):
        raise KeyboardInterrupt

    layer, x = compiled(build().eval()), picture()
    with monkeypatch.context() as patched:
        patched.setattr(measuring, "timed", stop)
        with pytest.raises(KeyboardInterrupt):
            layer(x)
    assert not verdicts.found()
    assert torch.is_grad_enabled()
    torch.testing.assert_close(layer(x), build().eval()(x))
    assert modes(layer) == {"train"}


def test_what_cannot_be_compiled_runs_as_it_is(pretended, monkeypatch, cache):
    def fails(layer):
        raise RuntimeError("no disk left")

    monkeypatch.setattr(measuring, "compiled_form", fails)
    layer = compiled(build().eval())
    torch.testing.assert_close(layer(picture()), build().eval()(picture()))
    assert [verdict.why for verdict in verdicts.found()] == ["failed"]
    assert not cache.exists()  # it may work tomorrow


def test_a_compiler_that_is_switched_off_gives_no_verdict_to_keep(pretended, monkeypatch, cache):
    monkeypatch.setattr(measuring, "graphs", lambda: 7)
    layer = compiled(build().eval())
    layer(picture())
    assert [verdict.why for verdict in verdicts.found()] == ["failed"]
    assert not cache.exists()


def test_a_form_that_fails_later_is_let_go(pretended):
    layer, x = compiled(build().eval()), picture()
    layer(x)

    def fails(y, x):
        raise torch._dynamo.exc.BackendCompilerFailed(None, RuntimeError("gone"), None)

    pretended.spoil = fails
    torch.testing.assert_close(layer(x), build().eval()(x))
    assert not modes(layer)


def test_a_process_measures_a_few_kinds_only(pretended, monkeypatch):
    monkeypatch.setattr(verdicts, "MEASURED", 2)
    layer = compiled(build().eval())
    for side in (4, 8, 16, 32):
        layer(picture(2, 16, side, side))
    assert pretended.measured == 2
    assert len(verdicts.found()) == 2


def test_a_layer_is_compiled_for_a_few_sizes_only(pretended):
    layer = compiled(build().eval())
    for height in (7, 8, 7, 9, 10, 11, 12, 7):
        x = picture(2, 16, height, 6)
        torch.testing.assert_close(layer(x), build().eval()(x))
    sizes = [called[-1][0][2] for called, form in layer.forward.forms.items() if form]
    assert sizes == [7, 8, 9, 10]


def test_what_it_remembers_does_not_grow_without_end(pretended, monkeypatch):
    monkeypatch.setattr(per_mode, "NOTED", 6)
    layer = compiled(build().eval())
    for height in range(7, 30):
        layer(picture(2, 16, height, 6))
    assert len(layer.forward.forms) <= 6
    assert modes(layer) == {"train"}


def test_bad_maps_are_refused_as_ever(pretended):
    layer = compiled(build().eval())
    with pytest.raises(ValueError, match="was made for 16 channels"):
        layer(picture(2, 3, 7, 6))
    with pytest.raises(ValueError, match="takes maps of shape"):
        layer(picture(16, 7, 6))
    layer(picture(2, 16, 7, 6).fill_(float("nan")))
    assert not verdicts.found()
    assert layer(picture(0, 16, 7, 6)).shape == (0, 16, 7, 6)


def test_an_altered_layer_runs_as_it_is(pretended):
    layer = compiled(build().eval())
    layer(picture())
    used = pretended.used
    layer.expand.register_forward_hook(lambda *_: None)
    layer(picture())
    assert pretended.used == used
    other = compiled(build().eval())
    with choice.forced(layer="plain"):
        other(picture())
    assert not other.forward.forms


def test_other_layouts_types_and_devices_run_as_they_are(pretended):
    layer = compiled(build().eval())
    layer(picture(2, 16, 7, 12)[..., ::2])
    layer.to("meta")(picture().to("meta"))
    assert not layer.forward.forms


class Holding(AttentionLayer):
    """A layer with one that is worth trying as its part, where its own form looks into it."""

    key = "holding"
    title, year = "Holding", None

    def __init__(self, channels):
        super().__init__(channels)
        self.inner = create_layer("bam", channels)

    def plain(self, x):
        return self.inner(x)

    def maps(self, x, at=None):
        return self.inner.maps(x, at)


def test_a_part_of_a_layer_stays_as_it_is(pretended):
    model = nn.Sequential(Holding(16), build())
    compiled(model)
    assert "forward" not in vars(model[0].inner)
    assert "forward" in vars(model[1])


@pytest.mark.parametrize("inference", [False, True])
def test_inference_mode(pretended, inference):
    layer = compiled(build().eval())
    with torch.inference_mode(inference), torch.no_grad():
        torch.testing.assert_close(layer(picture()), build().eval()(picture()))
    assert modes(layer) == {"forward"}


def test_layers_that_talk_to_other_processes_are_not_called_once_more(pretended, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    layer = compiled(nn.SyncBatchNorm.convert_sync_batchnorm(build()))
    assert per_mode.talks(layer)
    assert not per_mode.talks(build())
    assert per_mode.talks(create_layer("EMANet", 16))
    assert not per_mode.talks(layer.eval())
