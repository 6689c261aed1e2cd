"""Calibration, thresholds, pictures and intervals: by hand, by brute force, and in parts."""

import numpy as np
import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.metrics import (
    Calibration,
    Confusion,
    PictureCounts,
    ThresholdCounts,
    intervals,
)


def test_calibration_equals_the_definition():
    torch.manual_seed(0)
    confidence, right = torch.rand(5000), torch.rand(5000) < 0.7
    counts = Calibration()
    counts.update(confidence, right)
    bins = (confidence.double() * 15).ceil().clamp(min=1) - 1
    expected = 0.0
    for b in range(15):
        inside = bins == b
        apart = right[inside].double().mean() - confidence[inside].double().mean()
        expected += inside.double().mean() * apart.abs()
    assert counts.error() == pytest.approx(float(expected), abs=1e-5)


def test_calibration_of_known_answers():
    counts = Calibration()
    assert counts.error() is None
    counts.update(torch.full((4,), 0.75), torch.tensor([True, True, True, False]))
    assert counts.error() == 0
    counts.update(torch.ones(4), torch.zeros(4, dtype=torch.bool))
    assert counts.error() == 0.5
    zero = Calibration()
    zero.update(torch.zeros(1), torch.tensor([True]))
    assert zero.sums[:, 0].tolist() == [1, 1, 0]


def test_calibration_in_any_order_is_the_same():
    torch.manual_seed(1)
    parts = [(torch.rand(1000), torch.rand(1000) < 0.5) for _ in range(3)]
    counts = [Calibration() for _ in parts]
    for one, part in zip(counts, parts, strict=True):
        one.update(*part)
    a, b, c = counts
    assert ((a + b) + c).error() == (c + (a + b)).error() == (a + (b + c)).error()


def test_thresholds_equal_counting():
    torch.manual_seed(0)
    truth = torch.rand(1, 4000) < 0.05
    probability = (torch.rand(1, 4000) * 0.8 + 0.2 * truth).clamp(0, 1)
    counts = ThresholdCounts(1)
    counts.update(probability[:, :1500], truth[:, :1500])
    other = ThresholdCounts(1)
    other.update(probability[:, 1500:], truth[:, 1500:])
    curve = (counts + other).curve(0)
    for i in (0, 99, 499, 700, 998):
        predicted = probability.double() * 1000 >= i + 1
        both = (predicted & truth).sum().double()
        assert curve.thresholds[i] == (i + 1) / 1000
        assert curve.recall[i] == both / truth.sum()
        assert curve.precision[i] == (both / predicted.sum() if predicted.any() else 1.0)
        assert curve.f1[i] == pytest.approx(float(2 * both / (predicted.sum() + truth.sum())))
    assert curve.f1[curve.best] == curve.f1.max()


def test_average_precision_equals_that_of_ranks():
    torch.manual_seed(0)
    truth = torch.rand(1, 4000) < 0.1
    probability = torch.randperm(4000)[None] / 4000 * 0.7 + 0.3 * truth * torch.rand(1, 4000)
    probability = (probability * 1000).floor() / 1000 + 5e-4  # ties as in the bins
    counts = ThresholdCounts(1)
    counts.update(probability, truth)
    order = probability[0].unique().flip(0)
    expected, before = 0.0, 0.0
    for value in order.tolist():
        predicted = probability[0] >= value
        both = (predicted & truth[0]).sum().item()
        recall = both / truth.sum().item()
        expected += (recall - before) * both / predicted.sum().item()
        before = recall
    assert counts.average_precision(0) == pytest.approx(expected)
    sklearn = pytest.importorskip("sklearn.metrics")
    theirs = sklearn.average_precision_score(truth[0].numpy(), probability[0].numpy())
    assert counts.average_precision(0) == pytest.approx(theirs)


def test_thresholds_of_an_absent_class():
    counts = ThresholdCounts(2)
    counts.update(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([[False] * 2, [True] * 2]))
    assert counts.curve(0) is None
    assert counts.average_precision(0) is None
    assert counts.average_precision(1) == 1
    assert counts.curve(1).best == 250  # the middle of 0.001 to 0.5


def pictures_of(matrices):
    found = PictureCounts()
    for i, matrix in enumerate(matrices):
        confusion = Confusion(len(matrix))
        confusion.matrix = torch.as_tensor(matrix)
        found.add(f"picture {i}", confusion)
    return found


def test_pictures_are_ordered_and_counted_once():
    good, bad, none = [[5, 0], [0, 0]], [[3, 1], [1, 3]], [[0, 0], [0, 0]]
    pictures = pictures_of([good, none, bad])
    assert pictures.worst_first() == ["picture 2", "picture 0", "picture 1"]
    assert pictures.iou("picture 0") == [1.0, None]
    assert pictures.miou("picture 2") == pytest.approx(3 / 5)
    assert pictures.accuracy("picture 2") == 6 / 8
    assert pictures.miou("picture 1") is None
    assert pictures.accuracy("picture 1") is None
    with pytest.raises(InputError, match="a picture counts once"):
        pictures.add("picture 0", Confusion(2))
    with pytest.raises(InputError, match="picture 0: a picture counts once"):
        pictures + pictures_of([good])


def test_intervals_equal_drawing_one_by_one():
    rng = np.random.default_rng(3)
    matrices = rng.integers(0, 50, (7, 3, 3))
    matrices[:, 2] = 0
    matrices[1:, 1] = 0  # class 1 in one picture alone
    pictures = pictures_of(matrices)
    found = intervals(pictures)
    stacked = torch.stack(list(pictures.counts.values())).numpy()
    stacked = stacked[np.lexsort(stacked.reshape(7, -1).T)]
    drawn = np.random.default_rng(0).multinomial(7, [1 / 7] * 7, size=1000)
    means, ones = [], []
    for often in drawn:
        right, truth, predicted = (often[:, None, None] * stacked).sum(0)
        iou = [r / (t + p - r) for r, t, p in zip(right, truth, predicted, strict=True) if t]
        means.append(np.mean(iou))
        ones += [iou[1]] if truth[1] else []
    assert 0 < len(ones) < 1000
    assert found.miou == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))))
    assert found.iou[1] == pytest.approx(tuple(np.percentile(ones, (2.5, 97.5))))
    assert found.iou[2] is None
    backwards = PictureCounts(dict(reversed(pictures.counts.items())))
    assert intervals(backwards) == found


def test_intervals_of_one_picture_are_none():
    found = intervals(pictures_of([[[3, 1], [1, 3]], [[0, 0], [0, 0]]]))
    assert found.miou is None
    assert found.iou == (None, None)


def test_intervals_cover():
    """Of means over drawn sets, about 95 % of the intervals hold the true mean."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        share = rng.beta(6, 4, 40)
        right = (1000 * share).astype(int)
        matrices = np.zeros((40, 1, 1), dtype=np.int64)
        found = PictureCounts()
        for i, r in enumerate(right):
            confusion = Confusion(1)
            confusion.matrix = torch.as_tensor(matrices[i])
            found.add(str(i), confusion)
            found.counts[str(i)] = torch.tensor([[r], [1000], [r]])
        low, high = intervals(found, draws=300).miou
        held += low <= 0.6 <= high
    assert 180 <= held <= 198
