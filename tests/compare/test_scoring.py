"""Scores of the last network of finished runs, for every task."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.compare.arms import Arm
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.scoring import outcome_of, slim, within_their_folder
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import load
from pixelwise.predict.evaluation import evaluate
from pixelwise.train.plan import make_plan
from pixelwise.train.settings import TrainSettings

ARM = Arm("se", "se@stage4")
DRAWN = {
    "multiclass": "scenes:size=64,train=2,val=3,test=1",
    "multilabel": "overlapping-scenes:size=64,train=2,val=3,test=1",
    "regression": "depth-scenes:size=64,train=2,val=3,test=1",
    "keypoints": "puppets:size=64,train=2,val=3,test=1",
}


def finished(folder, recipe, curve=""):
    """The folder of a run that is trained, with a new network as its last one."""
    torch.manual_seed(0)
    plan = make_plan(recipe, lambda line: None, lambda done, total: None)
    plan.model.save_pretrained(folder / "last")
    (folder / "metrics.json").write_text(json.dumps({"steps": 8, "seconds": 2.5}))
    (folder / "validation.csv").write_text(curve)
    return plan


def recipe_for(data, **settings):
    network = {"model": "fcn", "backbone": "test_resnet"}
    if data.startswith("puppets"):
        network = {"model": "simple_baseline", "backbone": "test_resnet"}
    return TrainSettings(
        data=data, device="cpu", workers=0, check_data=False, steps=8, **network | settings
    )


@pytest.fixture
def binary(tmp_path):
    """Dark squares of three sizes on grey, as a data set."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 3)):
        for kind in ("images", "masks"):
            (tmp_path / "方块" / kind / split).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(100, 160, (64, 64, 3), dtype=np.uint8)
            mask = np.zeros((64, 64), np.uint8)
            for number, side in enumerate((4, 8, 12)):
                mask[20 * number : 20 * number + side + i, 5 : 5 + side] = 1
            image[mask == 1] = 20
            Image.fromarray(image).save(tmp_path / "方块" / "images" / split / f"图{i}.png")
            Image.fromarray(mask).save(tmp_path / "方块" / "masks" / split / f"图{i}.png")
    file = tmp_path / "方块" / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames: [ground, square]\n")
    return str(file)


@pytest.mark.parametrize("task", DRAWN)
def test_scores_are_those_of_evaluating_the_last_network(task, tmp_path):
    recipe = recipe_for(DRAWN[task])
    plan = finished(tmp_path, recipe)
    seen = []
    found = outcome_of(tmp_path, ARM, 3, recipe, "val", lambda *told: seen.append(told))
    result = evaluate(load(tmp_path / "last"), plan.val_inputs, window=1024)
    assert found.main == pytest.approx(abs(result.best))
    assert (found.arm, found.seed, found.steps, found.seconds) == ("se", 3, 8, 2.5)
    assert found.lr == recipe.peak_lr
    assert len(found.pictures) == 3
    assert found.scores.each.shape == (3, len(found.scores.kinds))
    assert found.scores.drawn.shape == (1000, len(found.scores.kinds))
    assert seen[-1] == ("scoring", 3, 3)
    if task == "regression":
        assert found.sizes is None
    if task in ("multiclass", "multilabel"):
        assert [kind.name for kind in found.sizes.kinds] == [
            "found_small", "found_middle", "found_large"
        ]  # fmt: skip
        assert found.sizes.each.shape == (3, 3)


def test_one_logit_finds_squares_by_their_size_and_no_ground(binary, tmp_path):
    recipe = recipe_for(binary, task="binary")
    finished(tmp_path / "run", recipe)
    model = load(tmp_path / "run" / "last")
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    heads = [m for m in convolutions if m.out_channels == 1 and m.bias is not None]
    for bias in (10.0, -10.0):
        for head in heads:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.constant_(head.bias, bias)
        model.save_pretrained(tmp_path / "run" / "last")
        found = outcome_of(tmp_path / "run", ARM, 0, recipe, "val")
        assert found.sizes.values.tolist() == [1.0 if bias > 0 else 0.0] * 3
    assert found.pictures == ("图0.png", "图1.png", "图2.png")
    # areas are side * (side + i), i = 0, 1, 2
    low, high = np.quantile([16, 20, 24, 64, 72, 80, 144, 156, 168], [1 / 3, 2 / 3])
    assert found.sizes.kinds[1].title == f"middle objects found ({low:.0f} to {high:.0f} px)"


def test_what_is_scored_already_is_read(tmp_path):
    recipe = recipe_for(DRAWN["multiclass"])
    finished(tmp_path, recipe, "step,epoch,miou\n4,1.0,0.25\n8,2.0,\n")
    first = outcome_of(tmp_path, ARM, 0, recipe, "val")
    assert first.curve[0] == (4, 0.25)
    assert first.curve[1][0] == 8
    assert math.isnan(first.curve[1][1])
    first.save(tmp_path)
    slim(tmp_path)
    (tmp_path / "last" / "model.safetensors").unlink()
    again = outcome_of(tmp_path, ARM, 0, recipe, "val")
    assert again.main == first.main
    np.testing.assert_array_equal(again.scores.drawn, first.scores.drawn)
    np.testing.assert_array_equal(again.sizes.each, first.sizes.each)


@pytest.mark.parametrize("task", DRAWN)
def test_a_network_that_says_nan_has_no_score_but_the_usual_kinds(task, tmp_path):
    recipe = recipe_for(DRAWN[task])
    finished(tmp_path, recipe)
    right = outcome_of(tmp_path, ARM, 0, recipe, "val")
    model = load(tmp_path / "last")
    with torch.no_grad():
        for one in model.parameters():
            one.fill_(math.nan)
    model.save_pretrained(tmp_path / "last")
    found = outcome_of(tmp_path, ARM, 0, recipe, "val")
    assert np.isnan(found.scores.values).all()
    assert found.scores.kinds == right.scores.kinds
    assert found.scores.drawn.shape == right.scores.drawn.shape
    assert found.pictures == right.pictures
    found.save(tmp_path)
    assert math.isnan(Outcome.load(tmp_path).main)


def test_pictures_are_in_the_order_of_the_data_set_whoever_loads_them(tmp_path):
    recipe = recipe_for("scenes:size=64,train=2,val=6,test=1")
    plan = finished(tmp_path, recipe)
    found = outcome_of(tmp_path, ARM, 0, recipe, "val")
    assert found.pictures == tuple(plan.data.val[i].name for i in range(6))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["/d/val/a.png", "/d/val/b.png"], ("a.png", "b.png")),
        (["/d/x/图.png", "/d/y/图.png (2)"], ("x/图.png", "y/图.png (2)")),
        (["d/val/a.png"], ("a.png",)),
        (["scene val 0", "scene val 1"], ("scene val 0", "scene val 1")),
        (["/d/a.png", "b.png"], ("/d/a.png", "b.png")),
        ([], ()),
    ],
)
def test_names_of_files_do_not_say_where_the_data_are(names, found):
    assert within_their_folder(names) == found


def test_slim_keeps_numbers_and_the_last_network(tmp_path):
    for name in ("last", "checkpoints", "samples", "tensorboard"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    kept = ("config.json", "config.yaml", "validation.csv", "steps.csv", "metrics.json")
    for name in (*kept, "model.safetensors", "curves.png", "confusion.png"):
        (tmp_path / name).touch()
    slim(tmp_path)
    slim(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "last"])
    assert (tmp_path / "last" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "told"), [(None, "not finished"), ("{", "damaged"), ('{"steps": []}', "damaged")]
)
def test_a_run_that_is_not_finished_or_damaged_is_told(content, told, tmp_path):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(InputError, match=told):
        outcome_of(tmp_path, ARM, 0, recipe_for(DRAWN["multiclass"]), "val")


def test_a_network_for_other_data_is_told(tmp_path):
    finished(tmp_path, recipe_for(DRAWN["multiclass"]))
    with pytest.raises(InputError, match="another task or data set"):
        outcome_of(tmp_path, ARM, 0, recipe_for(DRAWN["regression"]), "val")
