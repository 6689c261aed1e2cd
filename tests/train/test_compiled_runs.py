"""`train --compile auto`: what is told, what is kept, and that a run goes on either way."""

import dataclasses
import itertools
import os
import subprocess
import sys
import types
from unittest.mock import Mock

import pytest
import torch
import yaml
from safetensors.torch import load_file

from pixelwise.compiling import measuring, per_mode, verdicts
from pixelwise.errors import InputError
from pixelwise.train.engine import _check
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.processes import Processes
from pixelwise.train.run import read_settings, train
from pixelwise.train.settings import TrainSettings


@pytest.fixture(autouse=True)
def twice_as_fast(tmp_path, monkeypatch):
    """Forms that are compiled in name only."""

    def form(layer):
        return types.MethodType(type(layer).forward, layer)

    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "compiled_form", form)
    monkeypatch.setattr(measuring, "timed", lambda ours, theirs: ([2.0] * 5, [1.0] * 5))
    monkeypatch.setattr(measuring, "graphs", itertools.count().__next__)
    monkeypatch.setattr(per_mode, "compiler", lambda: "c++")
    verdicts.forget()
    yield
    verdicts.forget()


def told(silent):
    return [line for line in silent.lines if line.startswith("compile")]


def weights(run):
    return load_file(run / "last" / "model.safetensors")


def test_a_run_tells_what_it_took_and_ends_in_the_same_weights(settings, silent):
    plain = train(settings(name="plain"), silent)
    assert not told(silent)
    run = train(settings(name="compiled", compile="auto"), silent).run
    first, *others = told(silent)
    assert first == "compile psa_s: measured at first calls, which takes seconds each"
    assert others == ["compile faster: psa_s (train) 2x", "compile faster: psa_s (forward) 2x"]
    assert yaml.safe_load((run / "config.yaml").read_text())["compile"] == "auto"
    found, expected = weights(run), weights(plain.run)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value)
    kept = [
        torch.load(one / "checkpoints" / "step_00000008.pt", weights_only=False)
        for one in (run, plain.run)
    ]
    assert kept[0]["model"].keys() == kept[1]["model"].keys()
    assert kept[0]["averaged"].keys() == kept[1]["averaged"].keys()


@pytest.mark.parametrize(("first", "then"), [("auto", "auto"), ("auto", "off"), ("off", "auto")])
def test_a_run_goes_on_in_either(settings, silent, monkeypatch, first, then):
    class Cut(Exception):
        pass

    def stop(progress, step, loss, elapsed):
        if step == 3:
            raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(silent, "step", stop)
        with pytest.raises(Cut):
            train(settings(name="cut", compile=first), silent)
    run = train(settings(name="whole"), silent).run
    cut = run.parent / "cut"
    chosen = dataclasses.replace(read_settings(cut), compile=then)
    train(chosen, silent, resume=cut)
    for name, value in weights(run).items():
        assert torch.equal(weights(cut)[name], value)
    assert (first != then) == any("changed since the run began" in line for line in silent.lines)


def test_without_a_compiler_a_line_says_so(settings, silent, monkeypatch):
    monkeypatch.setattr(per_mode, "compiler", lambda: None)
    assert train(settings(compile="auto", steps=1), silent) is not None
    assert [line[:36] for line in told(silent)] == ["compile no C++ compiler was found (c"]


def test_choices():
    assert TrainSettings().compile == "off"
    with pytest.raises(InputError, match="compile='yes': must be one of 'off', 'auto'; use one"):
        TrainSettings(compile="yes")


def test_not_where_weights_are_spread(settings):
    plan, processes = Mock(spec=TrainingPlan), Mock(spec=Processes)
    plan.settings, plan.device = settings(strategy="fsdp", ema=0.0, compile="auto"), "cpu"
    processes.count, processes.start = 2, Mock(local_count=2)
    with pytest.raises(InputError, match="compile='auto': not with strategy='fsdp'"):
        _check(plan, processes)
    plan.settings = settings(strategy="fsdp", ema=0.0)
    _check(plan, processes)


@pytest.mark.slow
@pytest.mark.skipif(per_mode.compiler() is None, reason="there is no C++ compiler")
def test_train_and_predict_with_a_compiler(tmp_path):
    """The commands, in processes of their own: what is checked at run time cannot be compiled."""

    def call(*words):
        command = [sys.executable, "-m", "pixelwise", *words, "--device", "cpu"]
        place = {"PIXELWISE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | place, check=True
        )
        return done.stdout

    network = ["--backbone", "test_resnet", "--attention", "cbam", "--output-stride", "16"]
    length = ["--steps", "2", "--batch-size", "2", "--workers", "0", "--validations", "1"]
    place = ["--runs", str(tmp_path), "--name", "one", "--compile", "auto"]
    said = call("train", "--data", "scenes:size=64,train=6,val=2,test=2", *network, *length, *place)
    assert "compile cbam: measured" in said
    assert "cbam (train) " in said
    assert "cbam (forward) " in said
    kept = len(list((tmp_path / "cache" / "compiled").iterdir()))
    assert kept >= 2
    run = str(tmp_path / "train" / "one")
    said = call("evaluate", run, "--compile", "auto", "--out", str(tmp_path / "scores"))
    assert "cbam (forward) " in said
    assert '"compile": "auto"' in (tmp_path / "scores" / "metrics.json").read_text()
