"""Pictures on which arms disagree, chosen by their scores and drawn with their answers."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.compare.arms import Arm
from pixelwise.compare.disagreements import disagreements
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.data.opening import open_data
from pixelwise.metrics import Kind
from pixelwise.train.plan import make_plan
from pixelwise.train.settings import TrainSettings

ARMS = [
    Arm("none"),
    Arm("se", "se@stage4"),
    Arm("control of se", "conv@stage4", "se"),
    Arm("gc", "gc@stage4"),
    Arm("none, 1.5 times as long", longer=1.5),
]
SCENES = "scenes:size=64,train=2,val=8,test=1"
PUPPETS = "puppets:size=64,train=2,val=3,test=1"


def recipe(data=SCENES, model="fcn"):
    return TrainSettings(
        data=data, model=model, backbone="test_resnet", device="cpu", workers=0, steps=8,
        check_data=False,
    )  # fmt: skip


def network(folder, settings):
    torch.manual_seed(0)
    plan = make_plan(settings, lambda line: None, lambda done, total: None)
    plan.model.save_pretrained(folder / "last")
    return folder


def outcome(arm, each, seed=0, larger=True):
    """With that main score in every picture."""
    scores = Scores(
        (Kind("miou", "mean IoU", larger),),
        np.array([float(np.mean(each))]),
        np.empty((0, 1)),
        np.array(each, float).reshape(-1, 1),
    )
    names = tuple(f"scene val {i}" for i in range(len(each)))
    return Outcome(arm, seed, scores, None, names, (), 8, 1.0, 0.01)


@pytest.fixture
def scored(tmp_path):
    """Outcomes of five arms with two seeds, and the folders of all runs."""
    folder = network(tmp_path / "run", recipe())
    rows = {
        "none": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, np.nan],
        "se": [0.5, 0.9, 0.6, 0.5, 0.5, 0.5, 0.5, 0.9],
        "control of se": [0.5, 0.6, 0.6, 0.1, 0.5, 0.5, 0.5, 0.2],
        "gc": [0.5, 0.55, 0.5, 0.3, 0.5, 0.5, 0.5, 0.2],
        "none, 1.5 times as long": [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    }
    outcomes = [outcome(arm, each, seed) for arm, each in rows.items() for seed in (0, 1)]
    return outcomes, {(one.arm, one.seed): folder for one in outcomes}


def test_pictures_with_the_largest_spread_are_drawn_in_that_order(scored):
    outcomes, folders = scored
    seen = []
    found = disagreements(folders, ARMS, outcomes, recipe(), "val", lambda *told: seen.append(told))
    # pictures without any spread, and those where one is unknown, are not shown
    assert [name for name, *_ in found] == ["differs_1.png", "differs_2.png", "differs_3.png"]
    captions = [english for _, _, english, _ in found]
    assert [text.partition(":")[0] for text in captions] == [f"scene val {i}" for i in (1, 3, 2)]
    assert "none 50.00 %, se 90.00 %, control of se 60.00 %" in captions[0]
    assert "none 50.00 %, se 50.00 %, control of se 10.00 %" in captions[1]
    assert "seed 0" in captions[0]
    assert "随机种子 0" in found[0][3]
    assert seen[0] == ("drawing", 0, 3)
    with Image.open(io.BytesIO(found[0][1])) as sheet:
        assert sheet.width > 4 * 64


def test_seeds_are_averaged(scored):
    outcomes, folders = scored
    up, down = [0.5] * 8, [0.5] * 8
    up[4], down[4] = 0.9, 0.1
    mixed = [one for one in outcomes if one.arm == "none"]
    mixed += [outcome("se", up, 0), outcome("se", down, 1)]
    assert disagreements(folders, ARMS, mixed, recipe(), "val") == []


def test_a_network_that_is_gone_is_left_out(scored):
    outcomes, folders = scored
    folders = {key: one for key, one in folders.items() if key[0] != "se"}
    found = disagreements(folders, ARMS, outcomes, recipe(), "val")
    assert "se 90" not in found[0][2]
    assert "none 50.00 %, control of se 60.00 %" in found[0][2]
    assert disagreements({}, ARMS, outcomes, recipe(), "val") == []


def test_one_arm_or_scores_without_pictures_show_nothing(scored):
    outcomes, folders = scored
    assert disagreements(folders, ARMS, outcomes[:2], recipe(), "val") == []
    plain = [
        dataclasses.replace(one, scores=Scores.single(Kind("score", "score"), 0.5))
        for one in outcomes
    ]
    assert disagreements(folders, ARMS, plain, recipe(), "val") == []
    assert disagreements(folders, ARMS, [], recipe(), "val") == []


def test_figures_of_one_picture_are_found_by_its_name(tmp_path):
    settings = recipe(PUPPETS, "simple_baseline")
    folder = network(tmp_path / "run", settings)
    figures = open_data(PUPPETS).split("val")
    names = tuple(dict.fromkeys(figures[i].name for i in range(len(figures))))
    rows = {"none": [9.0] * len(names), "se": [9.0] * len(names)}
    rows["se"][-1] = 4.0
    outcomes = [
        dataclasses.replace(outcome(arm, each, larger=False), pictures=names)
        for arm, each in rows.items()
    ]
    folders = {("none", 0): folder, ("se", 0): folder}
    (found,) = disagreements(folders, ARMS, outcomes, settings, "val")
    assert found[2].startswith(f"{names[-1]}: ")
