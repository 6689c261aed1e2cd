"""Runs that start from a saved network, with layers put into it."""

import os
import shutil
import signal

import pytest
import torch

from pixelwise import create_model, insert, load
from pixelwise.data.scenes import CLASSES
from pixelwise.errors import InputError
from pixelwise.insertion.attached import insertions_of
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.recipes import make_optimizer
from pixelwise.train.run import read_settings, train

PLACE = "backbone.body.layer3"
START = {"model": "auto", "backbone": "auto", "attention": "auto", "output_stride": None}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A saved network for the scenes, as a run would leave it."""
    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(0)
    model = create_model(
        "fcn", "test_resnet", num_classes=len(CLASSES.names), output_stride=16, mean=(0.4,) * 3
    )
    model.save_pretrained(folder)
    return folder


def names(host):
    return [a.place.name for a in insertions_of(host).attached()]


def test_a_run_starts_from_a_network_with_insertions(settings, silent, plain):
    chosen = settings(**START, start=str(plain), insert={PLACE: "psa_s"}, host_lr=0.0, ema=0.0)
    finished = train(chosen, silent)
    told = [line for line in silent.lines if line.startswith("insert")]
    assert "difference of the host's output from before: 0 in eval mode, 0 in train" in "".join(
        told
    )
    before, after = load(plain), load(finished.run / "last")
    assert after.config.mean == (0.4,) * 3
    assert names(after) == [PLACE]
    (place,) = after.config.insert
    assert place["key"] == "psa_s"
    for name, value in before.named_parameters():  # frozen by host_lr=0
        assert torch.equal(value, after.get_parameter(name))
    assert insertions_of(after).attached()[0].gain.abs() > 0
    picture = torch.randn(1, 3, 64, 64)
    assert not torch.equal(after(picture), before(picture))


def test_a_run_goes_on_where_its_start_is_gone(settings, silent, plain, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(plain, start)
    changes = {**START, "start": str(start), "insert": {PLACE: "psa_s"}, "steps": 4}
    whole = train(settings(**changes, name="whole"), silent)
    step = silent.step

    def strike(progress, done, loss, elapsed):
        step(progress, done, loss, elapsed)
        if done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    silent.step = strike
    with pytest.raises(Interrupted) as stop:
        train(settings(**changes, name="cut"), silent)
    silent.step = step
    shutil.rmtree(start)
    resumed = train(read_settings(stop.value.run), silent, resume=stop.value.run)
    again = load(resumed.run / "last").state_dict()
    for name, value in load(whole.run / "last").state_dict().items():
        assert torch.equal(value, again[name]), name
    (resumed.run / "metrics.json").unlink()
    for path in (resumed.run / "checkpoints").iterdir():
        path.write_bytes(b"torn")
    with pytest.raises(InputError, match="start, which the run started from, is gone"):
        train(read_settings(resumed.run), silent, resume=resumed.run)


def test_insertions_of_a_run_can_be_trained_on(settings, silent, plain, tmp_path):
    model = load(plain)
    insert(model, {PLACE: "psa_s"}, prove=False)
    model.save_pretrained(tmp_path / "inserted")
    chosen = settings(**START, start=str(tmp_path / "inserted"), steps=2, validations=1)
    assert names(load(train(chosen, silent).run)) == [PLACE]


def test_insertions_have_a_learning_rate_of_their_own(settings, plain):
    model = load(plain)
    report = insert(model, {PLACE: "psa_s"}, prove=False)
    chosen = settings(insert_lr=5.0, host_lr=0.5)
    shares = {
        p: g["share"] for g in make_optimizer(model, chosen).param_groups for p in g["params"]
    }
    new = set(report.module.parameters())
    assert {shares[p] for p in new} == {5.0}
    assert {share for p, share in shares.items() if p not in new} == {0.5}
    assert len(shares) == len([*model.parameters()])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "missing"}, "missing"),
        ({"start": "PLAIN", "model": "danet"}, "brings its own network; leave out model"),
        ({"start": "PLAIN", "task": "binary"}, "binary"),
        ({"start": "OTHER"}, "its number of classes is 3, but that of"),
        (
            {"start": "PLAIN", "insert": "backbone.body.layer9=se"},
            r"place='backbone\.body\.layer9': unknown place",
        ),
        ({"start": "PLAIN", "insert_lr": 0.0, "host_lr": 0.0}, "nothing would be trained"),
    ],
)
def test_what_is_refused(settings, silent, plain, tmp_path, changes, message):
    create_model("fcn", "test_resnet", num_classes=3).save_pretrained(tmp_path / "other")
    folders = {"PLAIN": str(plain), "OTHER": str(tmp_path / "other")}
    changes = {k: folders.get(v, v) if isinstance(v, str) else v for k, v in changes.items()}
    with pytest.raises(InputError, match=message):
        train(settings(**START | changes), silent)
