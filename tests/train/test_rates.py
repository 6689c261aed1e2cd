"""The search for a learning rate."""

import math
import os
import signal

import pytest
import torch

from pixelwise.cli.main import main
from pixelwise.train.interrupt import Interrupted, Stopped
from pixelwise.train.plan import make_plan
from pixelwise.train.rates import DECADE, STEPS, Search, explosion, search, shortened, smoothed

RATES = tuple(1e-7 * 1e8 ** (k / (STEPS - 1)) for k in range(STEPS))


def curve(fall_at, explode_at, noise=0.0, low=0.3, high=1.0):
    """A loss that falls around one rate and explodes at another."""
    generator = torch.Generator().manual_seed(0)
    losses = []
    for rate in RATES:
        x = math.log10(rate / fall_at)
        loss = high - (high - low) / (1 + math.exp(-5 * x)) + max(0.0, rate / explode_at - 1) ** 2
        losses.append(loss + noise * float(torch.randn((), generator=generator)))
        if losses[-1] > explosion(losses):
            break
    return Search(RATES[: len(losses)], tuple(losses), tuple(smoothed(losses)), "")


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("fall_at", [1e-5, 1e-3, 1e-1])
def test_proposed_is_the_rate_at_which_the_loss_falls(fall_at, noise):
    found = curve(fall_at, 30 * fall_at, noise)
    assert fall_at / 2.5 < found.proposed < fall_at * 2.5
    assert found.proposed < found.lowest


def test_losses_below_zero_explode_too():
    assert explosion([1.0, 0.5]) == pytest.approx(2.0)
    assert explosion([1.0, -1.0]) == pytest.approx(2.0)
    assert explosion([-1.0, -2.0]) == pytest.approx(4.0)
    assert explosion([1.0, 1e-9]) == pytest.approx(0.3)
    found = curve(1e-3, 0.1, low=-2.0, high=-1.0)
    assert 4e-4 < found.proposed < 3e-3


@pytest.mark.parametrize(
    "losses",
    [[], [1.0], [1.0] * DECADE, [1.0] * STEPS, [1.0 + 0.01 * k for k in range(STEPS)], [0.0] * 50],
)
def test_nothing_is_proposed_where_nothing_falls(losses):
    found = Search(RATES[: len(losses)], tuple(losses), tuple(smoothed(losses)), "")
    assert found.proposed is None


def test_an_explosion_does_not_reach_back():
    calm = [1.0] * 30
    assert max(smoothed([*calm, 1e30])) <= 4.0


@pytest.fixture
def plan(settings):
    def build(**changes):
        given = {"model": "fcn", "attention": "none", "batch_size": 2, **changes}
        return make_plan(shortened(settings(**given)), lambda line: None, lambda *_: None)

    return build


@pytest.mark.slow
def test_the_weights_are_as_before_and_the_seed_decides(plan, silent, tmp_path):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found, weights = [], []
    for _ in range(2):
        made = plan(accumulate=2, backbone_lr=0.1, layer_decay=0.75)
        before = {k: v.clone() for k, v in made.model.state_dict().items()}
        torch.set_rng_state(state)
        found.append(search(made, tmp_path, silent))
        assert torch.equal(torch.get_rng_state(), state)
        after = made.model.state_dict()
        assert all(torch.equal(before[k], after[k]) for k in before)
        weights.append(before)
    assert found[0] == found[1]
    assert len(found[0].rates) > DECADE


def test_ctrl_c(plan, silent, tmp_path):
    step = silent.step

    def strike(progress, done, loss, elapsed):
        step(progress, done, loss, elapsed)
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    silent.step = strike
    made = plan()
    before = {k: v.clone() for k, v in made.model.state_dict().items()}
    with pytest.raises(Interrupted):
        search(made, tmp_path, silent)
    assert all(torch.equal(before[k], v) for k, v in made.model.state_dict().items())


def broken(plan, at):
    """The plan with a loss that is NaN from a step on."""
    calls, loss = [], plan.loss

    def broke(logits, mask):
        calls.append(0)
        return loss(logits, mask) * (math.nan if len(calls) > at else 1.0)

    object.__setattr__(plan, "loss", broke)
    return plan


def test_a_loss_that_is_not_finite(plan, silent, tmp_path):
    with pytest.raises(Stopped, match=r"not finite in the batch of .*, at the start already"):
        search(broken(plan(), 0), tmp_path, silent)
    found = search(
        broken(plan(model="lr_aspp", attention="auto", output_stride=None), 3), tmp_path, silent
    )
    assert len(found.rates) == 3
    assert "the loss is not finite" in found.ended
    assert found.proposed is None


@pytest.mark.slow
@pytest.mark.parametrize("data", ["scenes", "puppets", "depth-scenes", "overlapping-scenes"])
def test_the_command_for_every_task(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--data", f"{data}:size=64,train=6,val=2,test=1", "--batch-size", "2"]
    words += ["--workers", "0", "--device", "cpu", "--crop", "64x64"]
    words += ["--model", "fcn", "--backbone", "test_resnet"]
    code = main(["find-lr", *words])
    told = capsys.readouterr()
    assert code in (0, 1), told.err
    folder = tmp_path / "runs" / "find-lr" / "1"
    assert {p.name for p in folder.iterdir()} == {"lr_finder.csv", "lr_finder.png"}
    assert (folder / "lr_finder.csv").read_text().startswith("step,lr,loss,smooth\n1,1e-07,")
    assert code == 1 or f"next:    pixelwise train {' '.join(words)} --lr " in told.out
