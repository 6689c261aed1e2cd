"""How much is found of objects by their size, with masks and numbers made by hand."""

import numpy as np
import pytest

from pixelwise.metrics import Kind
from pixelwise.metrics.sizes import Objects, by_size, found_by_size


def squares(*places, size=(40, 40)):
    """A mask with a square at each (row, column, side)."""
    mask = np.zeros(size, bool)
    for row, column, side in places:
        mask[row : row + side, column : column + side] = True
    return mask


def objects(true, said, known=1600):
    return Objects.of([(true, said)], known)


def test_regions_are_counted_with_what_is_found_of_each():
    true = squares((0, 0, 4), (10, 10, 5), (20, 20, 6))
    said = squares((0, 0, 2), (10, 10, 5), (30, 30, 8))
    found = objects(true, said)
    assert found.areas.tolist() == [16, 25, 36]
    assert found.found.tolist() == [4, 25, 0]


def test_pixels_that_touch_at_a_corner_are_one_object():
    assert objects(squares((0, 0, 4), (4, 4, 4)), squares()).areas.tolist() == [32]


def test_specks_are_no_objects_and_ten_pixels_are():
    nine, ten = squares((0, 0, 3)), squares((0, 0, 3))
    ten[3, 0] = True
    assert objects(nine, nine).areas.tolist() == []
    assert objects(ten, ten).areas.tolist() == [10]


def test_what_fills_more_than_half_of_the_known_pixels_is_no_object():
    true = squares((0, 0, 20))
    assert objects(true, true, known=800).areas.tolist() == [400]
    assert objects(true, true, known=799).areas.tolist() == []


def test_an_absent_class_and_a_picture_without_known_pixels_add_nothing():
    nothing = squares()
    assert objects(nothing, squares((0, 0, 9))).areas.tolist() == []
    assert objects(nothing, nothing, known=0).areas.tolist() == []


def test_thirds_of_all_objects_are_scored_by_their_pixels():
    pictures = [
        Objects(np.array([10, 100]), np.array([5, 100])),
        Objects(np.array([20, 200, 30, 300]), np.array([20, 50, 15, 0])),
    ]
    tallies = found_by_size(("a", "b"), pictures)
    # of 10 20 30 100 200 300 a third each
    assert tallies.scores() == pytest.approx([25 / 30, 115 / 130, 50 / 500])
    assert tallies.each()[0] == [0.5, 1.0, None]
    assert [kind.name for kind in tallies.kinds] == ["found_small", "found_middle", "found_large"]
    low, high = np.quantile([10, 20, 30, 100, 200, 300], [1 / 3, 2 / 3])
    assert tallies.kinds[0].title == f"small objects found (up to {low:.0f} px)"
    assert tallies.kinds[1].title == f"middle objects found ({low:.0f} to {high:.0f} px)"
    assert tallies.kinds[2].title == f"large objects found (above {high:.0f} px)"


def test_the_sums_of_pictures_are_those_of_the_whole_set():
    rng = np.random.default_rng(0)
    areas = [rng.integers(10, 900, rng.integers(0, 9)) for _ in range(12)]
    pictures = [Objects(area, rng.integers(0, area + 1)) for area in areas]
    tallies = found_by_size(tuple(map(str, range(12))), pictures)
    whole = Objects(
        np.concatenate(areas), np.concatenate([one.found for one in pictures]).astype(np.int64)
    )
    assert tallies.scores() == pytest.approx(found_by_size(("all",), [whole]).scores())
    assert tallies.counted.sum() == whole.areas.sum()
    assert tallies.drawn().shape == (1000, 3)


def test_one_picture_has_scores_but_no_draws():
    tallies = found_by_size(("a",), [Objects(np.array([10, 50, 90]), np.array([10, 25, 0]))])
    assert tallies.scores() == [1.0, 0.5, 0.0]
    assert tallies.drawn() is None


@pytest.mark.parametrize("areas", [[], [30], [30, 30, 30]])
def test_without_objects_that_differ_in_size_there_is_nothing_to_tell(areas):
    sizes = np.array(areas, np.int64)
    assert found_by_size(("a",), [Objects(sizes, sizes)]) is None


def test_a_size_that_no_object_has_is_unknown():
    sizes = np.array([10, 10, 10, 50], np.int64)
    assert found_by_size(("a",), [Objects(sizes, sizes)]).scores() == [1.0, None, 1.0]


def test_any_number_can_be_told_by_size():
    def kind(size, bounds):
        return Kind(size, bounds, False, False, "px")

    sizes, errors = np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0, 9.0])
    tallies = by_size(("a",), [sizes], [errors], [np.array([2.0, 3.0, 1.0])], kind)
    assert tallies.scores() == [2.0, 2.0, 9.0]
