"""Differences of two networks on the same pictures, with paired intervals."""

import numpy as np
import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.metrics import Confusion, Kind, PictureCounts, Tallies, differences, intervals
from pixelwise.metrics.tallies import unique
from pixelwise.tasks.tallying import class_tallies

NAMES = ("a", "b", "c")


def drawn(seed, wrong, pictures=12, classes=(0, 1, 2)):
    """Confusion matrices of pictures whose pixels are wrong by chance, the same truth always."""
    truth_rng, rng = np.random.default_rng(0), np.random.default_rng(seed)
    found = []
    for _ in range(pictures):
        truth = torch.from_numpy(truth_rng.choice(classes, (6, 7)))
        other = torch.from_numpy(rng.integers(0, 3, (6, 7)))
        said = torch.where(torch.from_numpy(rng.random((6, 7)) < wrong), other, truth)
        confusion = Confusion(3)
        confusion.update(said, truth)
        found.append(confusion)
    return found


def counted(matrices):
    counts = PictureCounts()
    for number, one in enumerate(matrices):
        counts.add(f"p{number}", one)
    return counts


def tallies(*args, **options):
    return class_tallies(counted(drawn(*args, **options)), NAMES)


def test_scores_are_those_of_the_summed_matrix():
    matrices = drawn(1, 0.4)
    total = Confusion(3)
    for one in matrices:
        total += one
    scores = total.scores()
    found = class_tallies(counted(matrices), NAMES).scores()
    assert found == pytest.approx([scores.miou, scores.accuracy, *scores.iou])


def test_intervals_of_one_network_are_the_usual_ones():
    counts = counted(drawn(1, 0.4))
    plain, found = intervals(counts), class_tallies(counts, NAMES).intervals()
    assert found[0] == pytest.approx(plain.miou)
    assert found[2:] == [pytest.approx(ends) for ends in plain.iou]


def test_the_paired_interval_is_that_of_drawing_by_hand():
    """The mIoU of the drawn pictures' summed matrices each time, never a mean over pictures."""
    first, second = drawn(1, 0.5), drawn(2, 0.3)
    a, b = (class_tallies(counted(one), NAMES) for one in (first, second))
    found = differences(a, b, draws=200, seed=3)
    times = np.random.default_rng(3).multinomial(12, [1 / 12] * 12, size=200)
    by_hand = []
    for row in times:
        mious = []
        for matrices in (first, second):
            matrix = sum(int(n) * one.matrix.double() for n, one in zip(row, matrices, strict=True))
            right = matrix.diagonal()
            mious.append(float((right / (matrix.sum(0) + matrix.sum(1) - right)).mean()))
        by_hand.append(mious[1] - mious[0])
    assert found[0].interval == pytest.approx(tuple(np.percentile(by_hand, [2.5, 97.5])))
    assert found[0].value == pytest.approx(b.scores()[0] - a.scores()[0])
    assert found[0].clear


def test_turned_round_it_is_the_opposite_and_with_itself_nothing():
    a, b = tallies(1, 0.5), tallies(2, 0.3)
    for one, other in zip(differences(a, b), differences(b, a), strict=True):
        assert one.value == pytest.approx(-other.value)
        assert one.interval == pytest.approx(tuple(-end for end in other.interval[::-1]))
    for one in differences(a, a):
        assert (one.value, one.interval, one.clear) == (0.0, (0.0, 0.0), False)


def test_pairing_is_narrower_where_pictures_are_hard_for_both():
    rng = np.random.default_rng(0)
    hard = rng.random(40)
    one, other = (
        Tallies(
            tuple(map(str, range(40))),
            np.column_stack([hard + shift, np.ones(40)]),
            np.ones(40),
            (Kind("error", "error", False, False),),
            lambda of: of[:, :1] / of[:, 1:],
        )
        for shift in (0.0, 0.05)
    )
    (found,) = differences(one, other)
    low, high = one.intervals()[0]
    assert found.interval == pytest.approx((0.05, 0.05))
    assert high - low > 0.1


def test_a_class_that_is_nowhere_or_in_few_draws():
    a, b = tallies(1, 0.5, classes=(0, 1)), tallies(2, 0.3, classes=(0, 1))
    absent = differences(a, b)[4]
    assert (absent.first, absent.second, absent.value, absent.interval) == (None,) * 4
    assert differences(a, b)[0].interval is not None


def test_one_picture_and_pictures_that_do_not_count():
    a = tallies(1, 0.5, pictures=1)
    assert a.intervals() == [None] * 5
    one = differences(a, a)[0]
    assert one.value == 0
    assert one.interval is None
    assert not one.clear
    ignored = counted([*drawn(1, 0.5, pictures=1), Confusion(3)])
    assert class_tallies(ignored, NAMES).intervals() == [None] * 5
    assert class_tallies(ignored, NAMES).each()[1] == [None] * 5


def test_what_cannot_be_compared():
    a = tallies(1, 0.5)
    with pytest.raises(InputError, match="need the same pictures and scores"):
        differences(a, tallies(1, 0.5, pictures=3))
    other = class_tallies(counted(drawn(1, 0.5)), ("a", "b", "d"))
    with pytest.raises(InputError, match="need the same pictures and scores"):
        differences(a, other)
    fewer = Tallies(a.pictures, a.sums, a.counted - np.eye(12)[3], a.kinds, a.of)
    with pytest.raises(InputError, match="p3: not the same pixels count"):
        differences(a, fewer)


def test_texts_and_names():
    share, error = Kind("iou", "IoU"), Kind("mae", "MAE", False, False, "m")
    assert (share.text(0.5), share.text(-0.01, sign=True), share.text(None)) == (
        "50.00", "-1.00", "none",
    )  # fmt: skip
    assert error.interval((0.1, 2.0)) == "0.1 to 2"
    assert error.interval(None) == ""
    assert unique(["x", "y", "x", "x"]) == ("x", "y", "x (2)", "x (3)")
