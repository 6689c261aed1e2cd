"""What a run is warned of, on rows of runs that went well and of runs that did not."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.metrics import Confusion
from pixelwise.tasks.class_results import ClassResult
from pixelwise.tasks.keypoints.results import Compared, PointResult
from pixelwise.train.alarms import FEWEST, Alarms, loss_stays, never_found
from pixelwise.train.run import train
from pixelwise.train.settings import TrainSettings

SETTINGS = TrainSettings(data="scenes")


def recorded(kind):
    with (Path(__file__).parent / "recorded_losses.csv").open(newline="") as file:
        return {
            name: [{"loss": float(loss)} for loss in losses.split()]
            for of, name, losses in csv.reader(file)
            if of == kind
        }


def scores(matrix, names):
    confusion = Confusion(len(names))
    confusion.matrix = torch.tensor(matrix)
    return ClassResult(confusion, names)


THREE = scores([[90, 0, 0], [9, 0, 0], [1, 0, 0]], ("road", "car", "pole"))
CAR = scores([[90, 0, 0], [1, 8, 0], [1, 0, 0]], ("road", "car", "pole"))


@pytest.mark.parametrize("name", recorded("healthy"))
def test_healthy_losses_are_never_accused(name):
    steps = recorded("healthy")[name]
    for count in range(len(steps) + 1):
        assert loss_stays(steps[:count], SETTINGS) is None


@pytest.mark.parametrize("name", recorded("sick"))
def test_a_loss_that_does_not_fall(name):
    told = loss_stays(recorded("sick")[name], SETTINGS)
    assert "the loss does not fall" in told
    assert "another --lr (now 0.001)" in told
    assert "--overfit-one-batch" in told


def test_few_steps_say_nothing():
    assert loss_stays([{"loss": 1.0}] * (FEWEST - 1), SETTINGS) is None
    assert loss_stays([{"loss": 1.0}] * FEWEST, SETTINGS) is not None
    assert loss_stays([], SETTINGS) is None


def test_losses_below_zero_and_a_loss_of_zero():
    falling = [{"loss": -1.0 - 0.01 * i} for i in range(100)]
    assert loss_stays(falling, SETTINGS) is None
    assert loss_stays(falling[::-1], SETTINGS) is not None
    assert loss_stays([{"loss": 0.0}] * 100, SETTINGS) is not None  # every pixel is ignored


def test_a_trained_network_may_stay_where_it_is_but_not_get_worse():
    started = TrainSettings(data="scenes", start="runs/train/1")
    noise = np.random.default_rng(0).normal(0.1, 0.02, 200)
    assert loss_stays([{"loss": x} for x in noise], started) is None
    worse = [{"loss": x + (0.4 if i > 100 else 0)} for i, x in enumerate(noise)]
    assert "the loss rose from" in loss_stays(worse, started)


def test_one_batch_is_not_told_to_try_one_batch():
    one = TrainSettings(data="scenes", overfit_one_batch=True)
    told = loss_stays([{"loss": 1.0}] * 100, one)
    assert "of one batch" in told
    assert "--overfit" not in told


def test_classes_that_are_never_found():
    rows = [{"iou_road": 0.9, "iou_car": 0.0, "iou_pole": None}] * 3
    told = never_found(rows, THREE, SETTINGS)
    assert "IoU 0 in all 3 evaluations: car (9 % of val), pole (1 % of val); try" in told
    assert '--balance auto, --class-weights auto, --loss "ce+dice" or a longer training' in told
    once = [*rows, {"iou_road": 0.9, "iou_car": 0.1, "iou_pole": 0.0}]
    assert "car" not in never_found(once, THREE, SETTINGS)
    tried = TrainSettings(data="scenes", balance="auto", class_weights="auto", loss="ce+0.5*dice")
    assert "try a longer training, and look" in never_found(rows, THREE, tried)


def test_tables_that_were_edited_by_hand():
    rows = [{"iou_car": "much"}, {}]
    assert "car" in never_found(rows, THREE, SETTINGS)
    assert loss_stays([{"loss": "x"}, {}] * 100, SETTINGS) is None


def test_a_class_that_val_lacks_is_not_told():
    lacking = scores([[90, 0, 0], [9, 1, 0], [0, 0, 0]], ("road", "car", "pole"))
    rows = [{"iou_road": 0.9, "iou_car": 0.1, "iou_pole": None}]
    assert never_found(rows, lacking, SETTINGS) is None


def test_each_warning_is_told_once_and_those_that_hold_again_at_the_end():
    told = []
    alarms = Alarms(SETTINGS, told.append)
    steps = recorded("healthy")["scenes"]
    rows = [{"iou_road": 0.9, "iou_car": 0.0, "iou_pole": 0.0}] * 4
    mixed = scores([[90, 1, 0], [9, 0, 0], [1, 0, 0]], ("road", "car", "pole"))
    alarms.look(0.3, steps[:90], rows[:2], mixed)
    assert told == []
    alarms.look(0.4, steps[:120], rows[:3], None)
    assert told == []
    alarms.look(0.4, steps[:120], rows[:3], mixed)
    alarms.look(0.5, steps[:150], rows, mixed)
    (line,) = told
    assert line.startswith("warning: not found at all")
    rows = [*rows, {"iou_road": 0.9, "iou_car": 0.8, "iou_pole": 0.0}]
    alarms.look(1.0, steps, rows, CAR)
    assert len(told) == 1
    (last,) = alarms.at_the_end(steps, rows, CAR)
    assert "pole (1 % of val)" in last
    assert "car" not in last


def test_a_best_network_that_says_background_only_is_told_while_the_run_goes():
    told = []
    cracks = scores([[970, 0], [30, 0]], ("background", "crack"))
    alarms = Alarms(SETTINGS, told.append)
    steps = recorded("healthy")["scenes"]
    rows = [{"iou_background": 0.97, "iou_crack": 0.0}] * 4
    alarms.look(0.4, steps[:120], rows, cracks)
    (line,) = told
    assert "says 'background' for every pixel of val" in line
    assert "mIoU 0.485 and pixel accuracy 0.970 come from that class alone" in line
    assert len(alarms.at_the_end(steps, rows, cracks)) == 1


def points(predicted, truth, box=(10.0, 20.0, 100.0, 50.0)):
    items = [
        Compared(f"{i}.png", 0, p.astype(float), np.ones(len(p)), t.astype(float), box)
        for i, (p, t) in enumerate(zip(predicted, truth, strict=True))
    ]
    distance = np.linalg.norm(predicted - truth, axis=-1)
    return PointResult(items, distance, Skeleton(("a", "b", "c")), {}, "not known", 0)


def test_points_at_one_place_and_the_same_answer_for_each_figure():
    rng = np.random.default_rng(0)
    truth = rng.uniform((10, 20), (110, 70), (8, 3, 2))
    assert points(truth + rng.normal(0, 3, truth.shape), truth).warning() is None
    assert points(rng.permutation(truth), truth).warning() is None  # wrong, but no constant
    middle = np.full_like(truth, 40.0) + rng.normal(0, 0.3, truth.shape)
    assert "of a figure are predicted at nearly the same place" in points(middle, truth).warning()
    same = np.broadcast_to(truth[:1], truth.shape) + rng.normal(0, 0.3, truth.shape)
    assert "predicted at the same place of each figure" in points(same, truth).warning()
    assert points(same[:3], truth[:3]).warning() is None  # too few to say


def test_points_that_are_rightly_at_one_place_are_not_accused():
    rng = np.random.default_rng(0)
    still = np.broadcast_to(rng.uniform(20, 60, (1, 3, 2)), (8, 3, 2)).copy()
    assert points(still + 0.1, still).warning() is None
    still[:, 1:] = np.nan  # one labelled point per figure
    assert points(still + 0.1, still).warning() is None


def test_a_run_keeps_its_warnings(settings, silent, monkeypatch):
    from pixelwise.tasks.multiclass import Multiclass

    monkeypatch.setattr(
        Multiclass, "answer", lambda self, logits: torch.zeros_like(logits[:, 0]).long()
    )
    finished = train(settings(steps=2, validations=1), silent)
    (told,) = finished.warnings
    assert "for every pixel of val" in told
    assert json.loads((finished.run / "metrics.json").read_text())["warnings"] == [told]
