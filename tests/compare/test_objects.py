"""The objects of each task's pictures, with masks made by hand."""

import numpy as np
import pytest
import torch

from pixelwise.compare.objects import figure_sizes, objects_of
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.keypoints.results import Compared, PointResult
from pixelwise.tasks.registry import task_of


def task(key, names, **about):
    count = 1 if key == "binary" else len(names)
    return task_of(key, ModelConfig("fcn", "test_resnet", count, task=key, names=names, **about))


def mask(*squares):
    """Class ids, 0 but in squares (row, column, side, class)."""
    found = torch.zeros(30, 30, dtype=torch.int64)
    for row, column, side, number in squares:
        found[row : row + side, column : column + side] = number
    return found


TRUTH = mask((0, 0, 4, 1), (10, 10, 5, 1), (20, 20, 6, 2))


def test_of_several_classes_each_has_objects():
    said = mask((0, 0, 4, 1), (10, 10, 5, 2), (20, 20, 3, 2))
    found = objects_of(task("multiclass", ("road", "car", "tree")), said, TRUTH)
    assert found.areas.tolist() == [16, 25, 36]  # the road covers more than half
    assert found.found.tolist() == [16, 0, 9]


@pytest.mark.parametrize("name", ["background", "Background ", "背景"])
def test_a_background_has_no_objects(name):
    truth = mask((0, 0, 30, 1))
    truth[3:9, 3:9] = 0
    assert objects_of(task("multiclass", (name, "car")), truth, truth).areas.tolist() == []
    assert objects_of(task("multiclass", ("road", "car")), truth, truth).areas.tolist() == [36]


def test_the_first_of_two_classes_with_one_logit_has_no_objects():
    truth = mask((0, 0, 20, 1))
    truth[3:9, 3:9] = 0
    found = objects_of(task("binary", ("ground", "crack")), truth, truth)
    assert found.areas.tolist() == [400 - 36]


def test_ignored_pixels_belong_to_no_object_and_cut_it():
    truth = TRUTH.clone()
    truth[12, 10:15] = 255
    found = objects_of(task("multiclass", ("road", "car", "tree")), truth, truth)
    assert found.areas.tolist() == [16, 10, 10, 36]
    truth[:] = 255
    said = mask((0, 0, 9, 1))
    assert objects_of(task("multiclass", ("road", "car")), said, truth).areas.tolist() == []


def test_labels_have_objects_that_may_overlap_at_their_thresholds():
    truth = torch.zeros(2, 30, 30, dtype=torch.int64)
    truth[0, :5, :5], truth[1, 2:8, 2:8], truth[1, :, 20:] = 1, 1, 255
    chance = torch.zeros(2, 30, 30)
    chance[0, :5, :3], chance[1, 2:8, 2:8] = 0.4, 0.2
    labels = task("multilabel", ("roof", "solar"), task_options={"thresholds": (0.3, 0.5)})
    found = objects_of(labels, chance, truth)
    assert found.areas.tolist() == [25, 36]
    assert found.found.tolist() == [15, 0]


def test_numbers_have_no_objects():
    depth = torch.rand(1, 30, 30)
    assert objects_of(task("regression", ("depth",)), depth, depth) is None


def figures(*boxes):
    """Points two pixels off in the first figure, four in the second, and so on."""
    points = np.zeros((2, 2))
    items = [
        Compared(name, 0, points, np.ones(2), points, tuple(map(float, (*corner, side, side))))
        for name, corner, side in boxes
    ]
    distance = np.array([[2.0 * (n + 1), np.nan] for n in range(len(items))])
    return PointResult(items, distance, Skeleton(("a", "b"), (), ()), {}, "unknown", 0)


def test_errors_are_told_by_the_size_of_boxes():
    result = figures(("x", (1, 1), 30), ("y", (0, 0), 10), ("x", (5, 2), 20))
    tallies = figure_sizes(result)
    assert tallies.pictures == ("x", "y")
    assert tallies.scores() == [4.0, 6.0, 2.0]
    assert tallies.each() == [[None, 6.0, 2.0], [4.0, None, None]]
    assert [kind.larger for kind in tallies.kinds] == [False] * 3
    assert tallies.kinds[0].name == "error_small"


def test_boxes_that_are_whole_pictures_say_nothing_of_sizes():
    assert figure_sizes(figures(("x", (0, 0), 30), ("y", (0, 0), 10))) is None
