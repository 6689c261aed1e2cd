"""Errors in pixels: worked examples, what is missing, and named lengths."""

import math

import numpy as np
import pytest
import torch

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.published_scores import (
    heatmap_accuracy,
    mpii_pckh,
    udp_auc,
    udp_epe,
    udp_pck,
)
from pixelwise.tasks.keypoints.scores import (
    distances,
    named_length,
    pck,
    pixel_errors,
    share_within,
)

NAN = math.nan
TRUTH = np.array([[[0.0, 0.0], [10.0, 0.0], [NAN, NAN]], [[5.0, 5.0], [5.0, 25.0], [1.0, 1.0]]])
PREDICTED = np.array([[[3.0, 4.0], [10.0, 1.0], [7.0, 7.0]], [[5.0, 5.0], [NAN, NAN], [1.0, 9.0]]])


def test_worked_example():
    found = distances(PREDICTED, TRUTH)
    np.testing.assert_array_equal(found, [[5, 1, NAN], [0, math.inf, 8]])
    all_points = pixel_errors(found)
    assert (all_points.labelled, all_points.missed) == (5, 1)
    assert all_points.mean == pytest.approx(14 / 4)
    assert all_points.median == pytest.approx(3.0)
    assert all_points.rmse == pytest.approx(math.sqrt((25 + 1 + 0 + 64) / 4))
    assert pixel_errors(found[:, 1]).mean == 1
    assert share_within(found, [0.5, 1, 5, 100]) == (1 / 5, 2 / 5, 3 / 5, 4 / 5)


def test_labels_that_do_not_count():
    counted = np.array([[True, False, True], [False, False, False]])
    found = distances(PREDICTED, TRUTH, counted)
    assert pixel_errors(found).labelled == 1


def test_nothing_labelled_is_none():
    found = distances(PREDICTED, np.full_like(TRUTH, NAN))
    assert pixel_errors(found).mean is None
    assert share_within(found, [1.0]) == (None,)
    assert pck(found, np.ones(2), 0.5) == (None,) * 4


def test_everything_missed():
    found = pixel_errors(distances(np.full_like(TRUTH, NAN), TRUTH))
    assert (found.labelled, found.missed, found.rmse) == (5, 5, None)


def test_pck_of_a_named_length():
    skeleton = Skeleton(("nose", "tail", "ear"))
    lengths = named_length(TRUTH, skeleton, "nose", "tail")
    assert lengths.tolist() == [10, 20]
    assert pck(distances(PREDICTED, TRUTH), lengths, 0.4) == (3 / 5, 1 / 2, 1 / 2, 1.0)
    assert math.isnan(named_length(TRUTH, skeleton, "nose", "ear")[0])


def test_figures_without_a_length_do_not_count():
    found = distances(PREDICTED, TRUTH)
    for length in (NAN, 0.0):
        assert pck(found, np.array([length, 20.0]), 0.4) == (2 / 3, 1.0, 0.0, 1.0)


def test_bad_names_and_shares():
    with pytest.raises(InputError, match="did you mean 'tail'"):
        named_length(TRUTH, Skeleton(("nose", "tail", "ear")), "nose", "tial")
    with pytest.raises(InputError, match=r"alpha=0.0: must be above 0"):
        pck(distances(PREDICTED, TRUTH), np.ones(2), 0.0)
    with pytest.raises(InputError, match="point='head'"):
        mpii_pckh(PREDICTED, TRUTH, TRUTH[..., 0] > 0, np.zeros((2, 2, 2)), ("a", "b", "c"))


def test_published_scores_without_labels():
    nothing = np.zeros((2, 3), dtype=bool)
    found = udp_pck(PREDICTED, TRUTH, nothing, np.ones((2, 2)), 0.2)
    assert found.each.tolist() == [-1, -1, -1]
    assert (found.mean, found.points) == (0, 0)
    assert udp_auc(PREDICTED, TRUTH, nothing) == udp_epe(PREDICTED, TRUTH, nothing) == 0


def test_accuracy_of_maps_divides_x_by_the_height():
    targets = torch.zeros(1, 1, 40, 20)
    outputs = torch.zeros(1, 1, 40, 20)
    targets[0, 0, 10, 10] = outputs[0, 0, 10, 11] = 1  # 1 < 40 / 10 / 2, and not < 20 / 10 / 2
    assert heatmap_accuracy(outputs, targets)[0].mean == 1
    outputs[0, 0, 11, 10] = 2
    assert heatmap_accuracy(outputs, targets)[0].mean == 0
