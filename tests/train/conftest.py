"""Small runs on made-up scenes."""

import pytest

from pixelwise.train.settings import TrainSettings


class Silent:
    """A watcher that remembers what it was told."""

    def __init__(self):
        self.lines = []
        self.losses = []
        self.evaluations = []

    def say(self, line):
        self.lines.append(line)

    def step(self, progress, step, loss, elapsed):
        self.losses.append(loss)

    def busy(self, what, done, total):
        pass

    def validated(self, step, result):
        self.evaluations.append((step, result.best))


@pytest.fixture
def silent():
    return Silent()


@pytest.fixture
def settings(tmp_path):
    """Builds settings of a run that takes a second."""

    def build(**changes):
        values = {
            "data": "scenes:size=64,train=10,val=3,test=1",
            "model": "fcn",
            "backbone": "test_resnet",
            "attention": "psa_s",
            "output_stride": 16,
            "batch_size": 3,
            "steps": 8,
            "validations": 2,
            "workers": 0,
            "crop": "32",
            "ema": 0.9,
            "checkpoint_every": "0",
            "device": "cpu",
            "runs": str(tmp_path / "runs"),
        }
        return TrainSettings(**values | changes)

    return build
