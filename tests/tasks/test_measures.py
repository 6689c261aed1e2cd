"""What is told of a result beside that of another network, and where a named thing is."""

import numpy as np
import pytest
import torch

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.keypoints.measures import point_measures
from pixelwise.tasks.registry import task_of

SKELETON = Skeleton(("nose", "left ear", "right ear"), ((1, 2),), (), None)


def test_confused_points_are_a_share_of_the_labels_that_have_a_partner():
    distance = np.array([[1.0, 2.0, np.nan], [3.0, 9.0, 9.0]])
    found = point_measures(distance, SKELETON, mean=4.8, confused=2)
    rows = {row.name: (row.value, row.larger, row.counted) for row in found.rows}
    assert rows["nose"] == (2.0, False, "2")
    assert rows["right ear"] == (9.0, False, "1")
    assert rows["all points: mean"] == (4.8, False, "5")
    assert rows["all points: median"] == (3.0, False, "5")
    assert rows["all points: within 5 px, %"] == (pytest.approx(60), True, "5")
    assert rows["left and right confused, %"] == (pytest.approx(200 / 3), False, "3")


def test_without_sides_nothing_is_told_of_them():
    alone = Skeleton(("nose",), (), (), None)
    found = point_measures(np.array([[1.0]]), alone, mean=1.0, confused=0)
    assert not any("confused" in row.name for row in found.rows)


def test_a_class_is_placed_in_its_middle_or_nowhere():
    task = task_of("multiclass", ModelConfig("fcn", "test_resnet", 3, names=("a", "b", "c")))
    answer = torch.tensor([[0, 1, 1], [0, 0, 1]])
    assert task.place(("b", "c"), answer) == (0, 2)
    assert task.place(("c",), answer) is None


def test_a_point_is_placed_where_it_was_found():
    config = ModelConfig("fcn", "test_resnet", 3, names=SKELETON.names, task="keypoints")
    answer = torch.tensor([[1.0, 2.0, 0.5], [float("nan")] * 3, [7.5, 4.5, 0.5]])
    task = task_of("keypoints", config)
    assert task.place(("left ear", "right ear"), answer) == (4, 7)
    assert task.place(("left ear",), answer) is None
