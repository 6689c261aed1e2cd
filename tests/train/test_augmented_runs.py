"""The setting `augment` from the command line to the weights."""

import pytest
import torch

from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.train.plan import make_plan
from pixelwise.train.record import Record
from pixelwise.train.run import read_settings, train

EVERY = (
    "turn=20, elastic=0.3, blur=0.2, noise=0.2, jpeg=0.2, cut_out=0.5, mosaic=0.3, cutmix=0.3,"
    " copy_paste=0.5, mixup=0.2"
)
POINTS = {"data": "puppets:size=64,train=6,val=2,test=1", "model": "auto", "attention": "auto"}
POINTS |= {"backbone": "auto", "output_stride": None, "crop": "64"}


def planned(chosen, silent):
    return make_plan(chosen, silent.say, lambda done, total: None)


@pytest.mark.parametrize("check", [True, False])
def test_what_is_asked_for_is_told(settings, silent, check):
    plan = planned(settings(augment=EVERY, check_data=check, balance="car=0.5"), silent)
    (line,) = [line for line in silent.lines if line.startswith("varied")]
    assert line.startswith("varied  turn (all crops), elastic (30 %), blur (20 %)")
    assert line.endswith("pasted: building, tree, car, boat")
    image, mask, _ = plan.stream[0]
    assert image.shape == (3, 32, 32)
    assert mask.shape == (32, 32)


def test_values_of_the_crop_change_and_points_stay(settings, silent):
    plain, varied = (
        planned(settings(**POINTS, augment=augment), silent).stream
        for augment in (None, "blur=1, noise=1, jpeg=1, cut_out=1")
    )
    for g in range(3):
        assert torch.equal(plain[g][1], varied[g][1])
        assert not torch.equal(plain[g][0], varied[g][0])


def test_an_angle_takes_the_place_of_that_for_points(settings, silent):
    still, none, turned = (
        planned(settings(**POINTS, augment=augment, turn=turn), silent).stream[0]
        for augment, turn in (("turn(angle=1e-9)", 30.0), (None, 0.0), ("turn=90", 0.0))
    )
    torch.testing.assert_close(still[1], none[1], atol=1e-4, rtol=0)
    assert not torch.allclose(turned[1], none[1], atol=1.0)


@pytest.mark.parametrize(
    ("data", "augment", "message"),
    [
        (
            "puppets",
            "mosaic=0.5",
            "mosaic does not move points exactly; for points take turn",
        ),
        ("puppets", "own=a.py:f", "own does not move points exactly"),
        ("depth-scenes", "copy_paste=0.5", "copy_paste is for classes and labels"),
        ("scenes", "copy_paste(classes=[caar])", "class='caar': unknown class in copy_paste; did"),
        ("scenes", "own=nowhere.py:f", "there is no file nowhere.py; check the path"),
    ],
)
def test_refusals(settings, silent, data, augment, message):
    with pytest.raises(InputError, match=message):
        planned(settings(data=f"{data}:size=64,train=4,val=1", augment=augment), silent)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["scenes", "overlapping-scenes"])
def test_a_resumed_run_ends_in_the_same_weights(settings, silent, data, tmp_path):
    (tmp_path / "vary.py").write_text(
        "def vary(image, mask, rng):\n    return image // (1 + rng.integers(2, dtype='u1')), mask\n"
    )
    varied = {"augment": f"{EVERY}, own={tmp_path / 'vary.py'}:vary", "balance": "auto"}
    varied["data"] = f"{data}:size=64,train=10,val=3,test=1"
    chosen = settings(name="whole", workers=2, **varied)
    whole = train(chosen, silent)
    assert read_settings(whole.run) == chosen

    class Stopping(type(silent)):
        def step(self, progress, step, loss, elapsed):
            if step == 3:
                raise KeyboardInterrupt

    cut = settings(name="cut", **varied)
    with pytest.raises(KeyboardInterrupt):
        train(cut, Stopping())
    resumed = train(cut, silent, resume=whole.run.parent / "cut")
    for file in (whole.run / "last").iterdir():
        assert file.read_bytes() == (resumed.run / "last" / file.name).read_bytes()


@pytest.mark.slow
def test_a_function_that_fails_in_a_worker_is_one_line(settings, tmp_path, capsys):
    (tmp_path / "vary.py").write_text(
        "def vary(image, mask, rng):\n    assert rng.integers(4)\n    return image, mask\n"
    )
    words = ["--data", "scenes:size=64,train=10,val=2", "--model", "fcn", "--steps", "20"]
    words += ["--backbone", "test_resnet", "--crop", "32", "--runs", str(tmp_path / "runs")]
    words += ["--augment", f"own={tmp_path / 'vary.py'}:vary", "--device", "cpu"]
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in told if line.startswith("error:")]) == 1
    assert "vary.py:vary: fails with AssertionError" in told[-1]


def test_an_edited_function_is_told_at_resume(settings, silent, tmp_path):
    file = tmp_path / "vary.py"
    file.write_text("def vary(image, mask, rng): return image, mask\n")
    plan = planned(settings(augment=f"own={file}:vary"), silent)
    before = Record.of(plan.settings, plan.data)
    assert not Record.of(plan.settings, plan.data).settings_changed(before)
    file.write_text("def vary(image, mask, rng): return image // 2, mask\n")
    assert "augment" in Record.of(plan.settings, plan.data).settings_changed(before)
