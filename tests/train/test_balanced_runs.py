"""The setting `balance` from the command line to the weights."""

import pytest

from pixelwise.errors import InputError
from pixelwise.train.plan import make_plan
from pixelwise.train.run import read_settings, train


def planned(chosen, silent):
    return make_plan(chosen, silent.say, lambda done, total: None)


@pytest.mark.parametrize(
    "data", ["scenes:size=64,train=8,val=2", "overlapping-scenes:size=64,train=8,val=2"]
)
@pytest.mark.parametrize("check", [True, False])
def test_crops_hold_what_is_asked_for(settings, silent, data, check):
    plan = planned(settings(data=data, balance="auto", check_data=check), silent)
    (line,) = [line for line in silent.lines if line.startswith("balance")]
    assert line.startswith("balance each of ")
    for g in range(20):
        mask, (_, wanted) = plan.stream[g][1], plan.stream.balanced[g]
        assert ((mask == wanted) if mask.ndim == 2 else (mask[wanted] == 1)).any()


def test_a_binary_task(settings, silent, tmp_path):
    import numpy as np
    from PIL import Image

    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
        for i in range(3):
            mask = np.zeros((60, 50), np.uint8)
            mask[7 * i, 40] = 1
            Image.fromarray(mask).save(tmp_path / split / "masks" / f"裂缝{i}.png")
            Image.fromarray(mask * 99).save(tmp_path / split / "images" / f"裂缝{i}.png")
    (tmp_path / "data.yaml").write_text(
        "train: train/images\nval: val/images\nnames: [背景, 裂缝]\n", encoding="utf-8"
    )
    chosen = {"data": str(tmp_path), "task": "binary", "balance": "裂缝=0.75", "crop": "16"}
    stream = planned(settings(**chosen, output_stride=None), silent).stream
    assert "balance at least 裂缝 75 % of crops hold it; the others as they come" in silent.lines
    held = sum(bool((stream[g][1] == 1).any()) for g in range(200))
    asked = sum(stream.balanced[g][1] == 1 for g in range(200))
    assert 130 <= asked <= held <= 175


@pytest.mark.parametrize(
    ("data", "balance", "message"),
    [
        ("scenes", "caar=0.3", "class='caar': unknown class in balance; did you mean 'car'"),
        ("puppets", "auto", "balance='auto': is for classes and labels, task 'keypoints' has none"),
        ("depth-scenes", {"car": 1}, "is for classes and labels, task 'regression' has none"),
    ],
)
def test_refusals(settings, silent, data, balance, message):
    with pytest.raises(InputError, match=message):
        planned(settings(data=f"{data}:size=64,train=3,val=1", balance=balance), silent)


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_weights(settings, silent):
    chosen = settings(name="whole", balance={"car": 0.5, "boat": 0.25}, workers=2)
    whole = train(chosen, silent)
    assert read_settings(whole.run) == chosen

    class Stopping(type(silent)):
        def step(self, progress, step, loss, elapsed):
            if step == 3:
                raise KeyboardInterrupt

    cut = settings(name="cut", balance={"car": 0.5, "boat": 0.25})
    with pytest.raises(KeyboardInterrupt):
        train(cut, Stopping())
    resumed = train(cut, silent, resume=whole.run.parent / "cut")
    for file in (whole.run / "last").iterdir():
        assert file.read_bytes() == (resumed.run / "last" / file.name).read_bytes()
