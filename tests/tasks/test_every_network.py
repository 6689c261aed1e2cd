"""Every network learns every task: it trains, stops, goes on, is saved and loaded, bit for bit."""

import json
import signal
from pathlib import Path

import pytest
import torch

from pixelwise.networks.registry import names
from pixelwise.networks.segmenter import load
from pixelwise.tasks.registry import available, task_class
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.run import read_settings, train
from pixelwise.train.settings import TrainSettings

FAST = ("encnet",)
"""What has most parts of its own in the loss; the others are `slow`."""
LEFT_OUT = {
    "decoder.presence": "without presence loss",
    "decoder.context.attention.query.0.1": "with one region",
}
"""Weights that some tasks do not train -> what the page says of that."""
PAGE = Path(__file__).parents[2] / "docs/tasks.md"


SMALLER = {"upernet": {"width": 32}}
"""Options with which a network is small enough; no others matter here."""


class Watcher:
    """Keeps the last scores; stops a run after its first step where told to."""

    def __init__(self, *, stop):
        self.stop, self.result = stop, None

    def say(self, line):
        pass

    def busy(self, what, done, total):
        pass

    def step(self, progress, step, loss, elapsed):
        if self.stop and step == 1:
            signal.raise_signal(signal.SIGINT)

    def validated(self, step, result):
        self.result = result


def settings(network, task, data, folder, **changes):
    values = {
        "data": data,
        "task": task,
        "model": network,
        "backbone": "test_resnet",
        "steps": 2,
        "batch_size": 2,
        "crop": "64",
        "validations": 1,
        "workers": 0,
        "checkpoint_every": "0",
        "device": "cpu",
        "runs": str(folder),
        "model_options": SMALLER.get(network, {}),
    }
    return TrainSettings(**values | changes)


CASES = [
    pytest.param(network, task, marks=() if network in FAST else pytest.mark.slow)
    for task in available()
    for network in names()
]


@pytest.mark.parametrize(("network", "task"), CASES)
def test_network_learns_task(network, task, drawn, tmp_path, record_property):
    record_property("network", network)
    record_property("task", task)
    watcher = Watcher(stop=False)
    whole = train(settings(network, task, drawn[task], tmp_path, name="whole"), watcher).run
    with pytest.raises(Interrupted) as stop:
        train(settings(network, task, drawn[task], tmp_path, name="cut"), Watcher(stop=True))
    cut = stop.value.run
    assert train(read_settings(cut), Watcher(stop=False), resume=cut).steps == 2
    for file in ("model.safetensors", "last/model.safetensors", "config.json"):
        assert (whole / file).read_bytes() == (cut / file).read_bytes(), file

    scores = json.loads(json.dumps(watcher.result.summary()))  # of the network before it was saved
    told = json.loads((whole / "metrics.json").read_text())
    assert {name: told[name] for name in scores} == scores
    assert set(task_class(task).result_files) <= {path.name for path in whole.iterdir()}

    model = load(whole)
    torch.manual_seed(0)
    with torch.no_grad():
        picture = torch.randn(1, model.config.in_channels, 64, 48)
        answer = model.answer(model(picture))
        model.save_pretrained(tmp_path / "again")
        again = load(tmp_path / "again")
        assert torch.equal(again.answer(again(picture)), answer)
    left_out = [reason for part, reason in LEFT_OUT.items() if part in untrained(whole)]
    record_property("verdict", ", ".join(["yes", *left_out]))


def untrained(run):
    """Parts of the network whose weights the second step did not change."""
    first, second = (
        torch.load(run / "checkpoints" / f"step_{i:08d}.pt", weights_only=True)["model"]
        for i in (1, 2)
    )
    learnt = load(run).named_parameters()
    same = [name for name, _ in learnt if torch.equal(first[name], second[name])]
    return {name.rpartition(".")[0] for name in same}


def test_the_page_tells_of_every_network_and_task(cells_of):
    cells = cells_of(PAGE.read_text(encoding="utf-8"))
    assert set(cells) == {(network, task) for network in names() for task in available()}
    verdicts = {"yes", *(f"yes, {reason}" for reason in LEFT_OUT.values())}
    assert set(cells.values()) <= verdicts
