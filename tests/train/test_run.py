"""What a run leaves behind, what it refuses, and how it stops."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml

from pixelwise.errors import InputError
from pixelwise.networks.segmenter import load
from pixelwise.train import checkpoint
from pixelwise.train.engine import engine
from pixelwise.train.feeding import batches
from pixelwise.train.interrupt import Interrupted, Stopped
from pixelwise.train.journal import read_rows
from pixelwise.train.learning import Learner
from pixelwise.train.plan import make_plan
from pixelwise.train.run import read_settings, train
from pixelwise.train.settings import TrainSettings


def weights(run):
    return {p.name: p.read_bytes() for p in (run / "last").iterdir()}


def test_a_run_leaves_weights_numbers_and_pictures(settings, silent):
    chosen = settings()
    finished = train(chosen, silent)
    found = {str(p.relative_to(finished.run)) for p in finished.run.rglob("*") if p.is_file()}
    assert {
        "config.yaml",
        "config.json",
        "model.safetensors",
        "last/model.safetensors",
        "last/config.json",
        "steps.csv",
        "validation.csv",
        "metrics.json",
        "curves.png",
        "confusion.png",
        "checkpoints/step_00000008.pt",
    } <= found
    assert len([name for name in found if name.startswith("samples/")]) == 3
    assert any(name.startswith("tensorboard/") for name in found)
    assert not [name for name in found if "partial" in name]
    steps = read_rows(finished.run / "steps.csv")
    assert [row["step"] for row in steps] == list(range(1, 9))
    assert [row["loss"] for row in steps] == pytest.approx(silent.losses)
    assert [row["step"] for row in read_rows(finished.run / "validation.csv")] == [4, 8]
    summary = json.loads((finished.run / "metrics.json").read_text())
    assert summary["miou"] == pytest.approx(max(miou for _, miou in silent.evaluations))
    model = load(finished.run)
    assert model.config.names == tuple(summary["iou"])
    assert len(model.config.mean) == 3
    assert read_settings(finished.run) == chosen


def test_loss_falls_and_the_same_settings_give_the_same_weights(settings, silent):
    chosen = settings(steps=30, name="a", lr=3e-3)
    first = train(chosen, silent)
    assert sum(silent.losses[-8:]) < 0.9 * sum(silent.losses[:8])
    again = train(dataclasses.replace(chosen, name="b", workers=2), silent)
    assert weights(first.run) == weights(again.run)
    other = train(dataclasses.replace(chosen, name="c", seed=1), silent)
    assert weights(first.run) != weights(other.run)


def test_accumulation_covers_the_same_pictures(settings, silent):
    train(settings(steps=2, batch_size=4, ema=0.0, validations=1), silent)
    whole = silent.losses[:]
    silent.losses.clear()
    train(settings(steps=2, batch_size=2, accumulate=2, ema=0.0, validations=1), silent)
    assert silent.losses[0] == pytest.approx(whole[0], rel=0.2)
    assert len(silent.losses) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "danet"},
        {"recipe": "sgd", "clip": 1.0, "class_weights": "auto"},
        {"precision": "bf16"},
        {"epochs": 1, "steps": None},
        {"time_limit": "1s", "steps": None},
        {"deterministic": True},
    ],
)
def test_recipes(settings, silent, changes):
    finished = train(settings(**({"steps": 2} | changes)), silent)
    assert 0 <= finished.result.best <= 1
    expected = {"epochs": 4, "steps": 2}
    if "time_limit" not in changes:
        assert finished.steps == expected["epochs" if "epochs" in changes else "steps"]
    assert all(torch.isfinite(torch.tensor(silent.losses)))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_that_of_the_network(settings, silent, precision):
    plan, seen = make_plan(settings(precision=precision, steps=1), silent.say, print), []
    plan.model.backbone.register_forward_hook(lambda _, given, maps: seen.append(maps[-1].dtype))
    learner = Learner(plan, engine(plan))
    learner.step(0, batches(plan, 0), 0.01)
    assert seen == [{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]]
    assert all(p.dtype == torch.float32 for p in plan.model.parameters())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_resumed_run_ends_in_the_same_weights(settings, silent, number):
    whole = train(settings(name="whole"), silent)
    before = signal.getsignal(number)
    chosen = settings(name="cut", checkpoint_every="1h")
    step = silent.step

    def strike(progress, done, loss, elapsed):
        step(progress, done, loss, elapsed)
        if done == 3:
            os.kill(os.getpid(), number)

    silent.step = strike
    with pytest.raises(Interrupted) as stop:
        train(chosen, silent)
    assert stop.value.exit_code == 128 + number
    assert stop.value.step == 3
    assert signal.getsignal(number) is before
    silent.step = step
    resumed = train(read_settings(stop.value.run), silent, resume=stop.value.run)
    assert weights(whole.run) == weights(resumed.run)
    assert [row["step"] for row in read_rows(resumed.run / "steps.csv")] == list(range(1, 9))
    assert train(chosen, silent, resume=resumed.run) is None


def test_a_signal_during_evaluation(settings, silent):
    whole = train(settings(name="whole"), silent)
    busy = silent.busy

    def strike(what, done, total):
        if what == "evaluating":
            silent.busy = busy
            os.kill(os.getpid(), signal.SIGTERM)

    silent.busy = strike
    with pytest.raises(Interrupted) as stop:
        train(settings(name="cut"), silent)
    assert stop.value.step == 4
    resumed = train(settings(name="cut"), silent, resume=stop.value.run)
    assert weights(whole.run) == weights(resumed.run)
    for name in ("validation.csv", "model.safetensors"):
        assert (whole.run / name).read_bytes() == (resumed.run / name).read_bytes()


def test_a_truncated_checkpoint_is_named_and_the_one_before_used(settings, silent):
    whole = train(settings(name="whole"), silent)
    cut = train(settings(name="cut"), silent)
    (cut.run / "metrics.json").unlink()
    newest = checkpoint.newest(cut.run)
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed = train(settings(name="cut"), silent, resume=cut.run)
    assert any(newest.name in line and "cannot be read" in line for line in silent.lines)
    assert any("step 7" in line for line in silent.lines)
    assert weights(whole.run) == weights(resumed.run)


def test_what_a_kill_left_half_written_is_removed(settings, silent):
    cut = train(settings(name="cut", steps=2, validations=1), silent)
    (cut.run / "metrics.json").unlink()
    left = [
        cut.run / "metrics.json.partial",
        cut.run / "record.json.partial",
        cut.run / "steps.partial",
        cut.run / "checkpoints" / "step_00000001.partial",
        cut.run / "samples" / ".0000_a.png.123.part",
        cut.run / ".saving-abc" / "model.safetensors",
        cut.run / "last" / ".saving-abc" / "config.json",
    ]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"half")
    train(settings(name="cut", steps=2, validations=1), silent, resume=cut.run)
    assert not [file for file in left if file.exists()]


def test_a_checkpoint_with_another_state_is_refused(settings, silent):
    cut = train(settings(name="cut"), silent)
    (cut.run / "metrics.json").unlink()
    newest = checkpoint.newest(cut.run)
    saved = torch.load(newest, weights_only=True)
    saved["state"]["best_miou"] = saved["state"].pop("best")  # as versions before had it
    torch.save(saved, newest)
    with pytest.raises(InputError, match=r"step_00000008\.pt: does not fit"):
        train(settings(name="cut"), silent, resume=cut.run)


def test_data_that_changed_under_a_run(settings, silent):
    cut = train(settings(name="cut"), silent)
    (cut.run / "metrics.json").unlink()
    other = settings(name="cut", backbone="test_convnext")
    told = "backbone was 'test_resnet' and is 'test_convnext' now, which does not fit the weights"
    with pytest.raises(InputError, match=told):
        train(other, silent, resume=cut.run)
    (cut.run / "record.json").unlink()  # as runs of 0.1.0 have none
    with pytest.raises(InputError, match=r"step_00000008\.pt: does not fit the run's network"):
        train(other, silent, resume=cut.run)


def test_a_loss_that_is_not_finite_names_the_pictures(settings, silent, monkeypatch):
    from pixelwise.train.learning import Learner

    calls = iter(range(100))
    plain = Learner._loss

    def spoiled(self, image, mask):
        loss = plain(self, image, mask)
        return loss * float("nan") if next(calls) == 3 else loss

    monkeypatch.setattr(Learner, "_loss", spoiled)
    with pytest.raises(Stopped, match=r"loss is not finite at step 4, in the batch of \S+") as stop:
        train(settings(), silent)
    assert "step_00000003.pt" in str(stop.value)


def test_a_full_disk_loses_nothing(settings, silent, monkeypatch):
    whole = train(settings(name="whole"), silent)
    chosen = settings(name="full")

    def full(file):
        if "step_00000005" in Path(f"/proc/self/fd/{file}").readlink().name:
            raise OSError(28, "No space left on device", "the checkpoint")
        sync(file)

    sync = os.fsync
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device.*--resume"):
        train(chosen, silent)
    monkeypatch.undo()
    run = Path(chosen.runs) / "train" / "full"
    names = sorted(p.name for p in (run / "checkpoints").iterdir())
    assert names == ["step_00000003.pt", "step_00000004.pt"]
    assert weights(train(chosen, silent, resume=run).run) == weights(whole.run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ""}, "data='': must be given"),
        ({"data": "nowhere/data.yaml"}, "nowhere"),
        ({"task": "binary"}, "two classes"),
        ({"lr": 50.0}, "lr=50: must be from"),
        ({"epochs": 3}, "exclude each other"),
        ({"crop": "12by7"}, "HEIGHTxWIDTH"),
        ({"recipe": "adam"}, "recipe='adam': must be one of 'adamw', 'sgd'; did you mean 'adamw'"),
        ({"time_limit": "soon", "steps": None}, "duration"),
        ({"batch_size": 0}, "batch_size=0: must be at least 1"),
        ({"backbone": "resnet17"}, "did you mean 'resnet"),
        ({"attention": "psa_z"}, "unknown layer"),
        ({"device": "cuda"}, "device='cuda': PyTorch sees none here"),
        ({"device": "xpu:0"}, "not for training"),
        ({"name": "a/b"}, "plain folder name"),
    ],
)
def test_what_is_refused_before_the_first_step(settings, silent, changes, message):
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=message):
        train(settings(**changes), silent)
    assert silent.losses == []


def test_a_name_that_exists_and_a_folder_that_cannot_be(settings, silent, tmp_path):
    train(settings(name="once", steps=1), silent)
    with pytest.raises(InputError, match=r"once: exists; choose another --name"):
        train(settings(name="once", steps=1), silent)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot make the run's folder"):
        train(settings(runs=str(tmp_path / "file")), silent)


def test_settings_of_a_broken_run(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.yaml"):
        read_settings(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"modle": "fcn"}))
    with pytest.raises(InputError, match="modle"):
        read_settings(tmp_path)
    assert "batch_size" in TrainSettings.__dataclass_fields__
