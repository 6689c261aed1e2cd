"""Similarity and average precision, by hand and beside pycocotools."""

import contextlib
import io
import math

import numpy as np
import pytest

from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.average_precision import (
    Labels,
    Predictions,
    average_precision,
)
from pixelwise.tasks.keypoints.oks import oks

SIGMAS = (0.05, 0.1, 0.07)


def one(points, area=100.0, crowd=False):
    count = len(points)
    return Labels(
        np.asarray(points, dtype=float),
        np.ones((count, 3), dtype=bool),
        np.tile([0.0, 0.0, 50.0, 50.0], (count, 1)),
        np.full(count, area),
        np.full(count, crowd),
        np.zeros(count, dtype=int),
    )


def test_similarity_by_hand():
    truth = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]]])
    predicted = truth + np.array([[3.0, 4.0], [0.0, 0.0], [99.0, 0.0]])
    labelled = np.array([[True, True, False]])
    found = oks(predicted, truth, labelled, np.zeros((1, 4)), np.array([400.0]), SIGMAS)
    assert found.item() == pytest.approx((math.exp(-25 / (2 * 0.1**2 * 400)) + 1) / 2)


def test_a_missing_prediction_is_nowhere_near():
    truth = np.zeros((1, 3, 2))
    predicted = np.array([[[0.0, 0.0], [math.nan, math.nan], [0.0, 0.0]]])
    labelled = np.ones((1, 3), dtype=bool)
    found = oks(predicted, truth, labelled, np.zeros((1, 4)), np.array([9.0]), SIGMAS)
    assert found.item() == pytest.approx(2 / 3)


def test_perfect_predictions():
    points = np.random.default_rng(0).uniform(0, 100, (4, 3, 2))
    labels = one(points, area=2000.0)
    found = average_precision(
        labels, Predictions(points, np.array([0.1, 0.4, 0.3, 0.2]), labels.image), SIGMAS
    )
    assert found.stats["AP"] == pytest.approx(1)
    assert found.stats["AR medium"] == pytest.approx(1)
    assert found.stats["AP large"] is None


def test_no_prediction():
    labels = one(np.zeros((2, 3, 2)))
    nothing = Predictions(np.zeros((0, 3, 2)), np.zeros(0), np.zeros(0, dtype=int))
    assert average_precision(labels, nothing, SIGMAS).stats["AP"] == 0


@pytest.mark.parametrize("sigmas", [None, (0.1, 0.1), (0.1, 0.1, 0.0), (0.1, 0.1, math.nan)])
def test_no_figure_without_sigmas(sigmas):
    labels = one(np.zeros((1, 3, 2)))
    with pytest.raises(
        InputError, match="repeated labels" if sigmas is None else "3 numbers above"
    ):
        average_precision(labels, Predictions(labels.points, np.ones(1), labels.image), sigmas)


@pytest.mark.parametrize("seed", range(6))
def test_equals_pycocotools(seed):
    """Random labels: crowds, missing points, small and large things, equal scores."""
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    generator = np.random.default_rng(seed)
    count, guesses, pictures = 14, 60, 4
    image = generator.integers(1, pictures + 1, count)
    centre = generator.uniform(50, 150, (count, 1, 2))
    size = generator.choice([20.0, 60.0, 150.0], (count, 1, 1))
    points = np.round(centre + size * generator.uniform(-0.5, 0.5, (count, 3, 2)), 2)
    visible = generator.choice([0, 1, 2], (count, 3), p=[0.3, 0.2, 0.5])
    boxes = np.concatenate([centre[:, 0] - size[:, 0] / 2, size[:, 0], size[:, 0]], axis=1)
    areas, crowd = size[:, 0, 0] ** 2 * 0.7, generator.random(count) < 0.15
    source = generator.integers(0, count, guesses)
    near = points[source] + generator.normal(0, 5, (guesses, 3, 2))
    scores = generator.integers(1, 20, guesses) / 20
    labels = Labels(points, visible > 0, boxes, areas, crowd, image)
    ours = average_precision(labels, Predictions(near, scores, image[source]), SIGMAS)
    truth = coco.COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(1, pictures + 1)],
        "categories": [{"id": 1, "name": "thing", "keypoints": ["a", "b", "c"]}],
        "annotations": [
            {
                "id": i + 1,
                "image_id": int(image[i]),
                "category_id": 1,
                "keypoints": np.column_stack([points[i], visible[i]]).ravel().tolist(),
                "num_keypoints": int((visible[i] > 0).sum()),
                "bbox": boxes[i].tolist(),
                "area": float(areas[i]),
                "iscrowd": int(crowd[i]),
            }
            for i in range(count)
        ],
    }
    results = [
        {
            "image_id": int(image[source[i]]),
            "category_id": 1,
            "keypoints": np.column_stack([near[i], np.ones(3)]).ravel().tolist(),
            "score": float(scores[i]),
        }
        for i in range(guesses)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        theirs = evaluation.COCOeval(truth, truth.loadRes(results), "keypoints")
        theirs.params.kpt_oks_sigmas = np.array(SIGMAS)
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    wanted = [None if value == -1 else pytest.approx(value, abs=1e-12) for value in theirs.stats]
    assert list(ours.stats.values()) == wanted
