"""Puppets: pure functions of their seed, whose left and right only the mark on the hat tells."""

import dataclasses

import numpy as np
import pytest
import torch

from pixelwise.data.drawing import Canvas
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.points.figure import HIDDEN, MISSING, SEEN
from pixelwise.data.points.source import LabelledFigures, PointSource
from pixelwise.data.puppet import CLEARANCE, ELBOW, FOOT, HAND, HEAD, HIP, NECK, SKELETON
from pixelwise.data.puppet_painting import PIN, WOOD, draw, paint
from pixelwise.data.survey import values_of
from pixelwise.errors import InputError

SIZE = 96
COUNT = 24
RADII = {HAND: 0.032, HAND + 1: 0.032, FOOT: 0.032, FOOT + 1: 0.032}
PAIRED = np.arange(ELBOW, len(SKELETON))


@pytest.fixture(scope="module")
def twins():
    """Each puppet from the front and from behind."""
    return [[draw(7, 0, i, SIZE, front=front) for front in (True, False)] for i in range(COUNT)]


def colour_at(picture, place):
    """Mean colour of the 3 x 3 pixels around (x, y)."""
    x, y = (int(v) for v in place)
    return picture[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(-1, 3).mean(axis=0)


def looks_front(picture, points):
    """What the mark says; its place follows from neck and head."""
    up = points[HEAD] - points[NECK]
    red, _, blue = colour_at(picture, points[HEAD] + up * 0.185 / 0.09)
    assert abs(red - blue) > 25
    return bool(red > blue)


def left_is_right_of_trunk(points):
    """Whether the left limbs are on the right of the picture (of an upright puppet)."""
    up, left = points[NECK] - points[HIP], points[ELBOW] - points[ELBOW + 1]
    return bool(up[0] * left[1] - up[1] * left[0] > 0)


def test_only_the_mark_differs(twins):
    """Near all points with a left and a right, the two renderings are the same picture."""
    for front, behind in twins:
        rows, columns = np.nonzero((front.picture != behind.picture).any(axis=2))
        assert max(np.ptp(rows), np.ptp(columns)) < 0.15 * SIZE
        places = np.column_stack([columns, rows]) + 0.5
        points = front.puppet.points[PAIRED]
        away = np.hypot(*(places[:, None] - points).transpose(2, 0, 1))
        assert away.min() > CLEARANCE * SIZE - 0.06 * SIZE


def test_sides_are_swapped_between_the_renderings(twins):
    order = list(SKELETON.mirrored())
    for front, behind in twins:
        np.testing.assert_array_equal(front.puppet.points, behind.puppet.points[order])
        np.testing.assert_array_equal(front.visible, behind.visible[order])
        assert front.area == behind.area


def test_the_mark_tells_the_side(twins):
    for pair in twins:
        for drawn in pair:
            assert looks_front(drawn.picture, drawn.puppet.points) == drawn.puppet.front
            assert left_is_right_of_trunk(drawn.puppet.points) == drawn.puppet.front


def test_a_mirrored_puppet_with_swapped_pairs_is_one():
    """What holds of all puppets holds of their mirrored pictures, and not without the swap."""
    for i in range(COUNT):
        drawn = draw(3, 1, i, SIZE)
        picture = drawn.picture[:, ::-1]
        mirrored = drawn.puppet.points * (-1, 1) + (SIZE, 0)
        swapped = mirrored[list(SKELETON.mirrored())]
        assert left_is_right_of_trunk(swapped) == looks_front(picture, swapped)
        assert left_is_right_of_trunk(mirrored) != looks_front(picture, mirrored)


def test_half_of_the_puppets_are_seen_from_the_front():
    front = [draw(1, 0, i, 64).puppet.front for i in range(40)]
    assert sum(front) == 20
    assert front != [bool(i % 2) for i in range(40)]
    assert front != [not i % 2 for i in range(40)]


def test_joints_are_drawn_where_the_points_are():
    """The centre of each joint that nothing covers, eight times as large, to 0.02 of a pixel."""
    size, found = 8 * SIZE, np.zeros(len(SKELETON), int)
    for i in range(COUNT):
        puppet = draw(5, 0, i, SIZE).puppet
        points = 8 * puppet.points
        large = dataclasses.replace(
            puppet, points=points, roots=8 * puppet.roots, height=8 * puppet.height
        )
        canvas = Canvas(np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.uint8))
        paint(canvas, np.random.default_rng(0), large)
        for point, place in enumerate(points):
            rows, columns = np.nonzero(canvas.mask == point + 1)
            radius = large.height * RADII.get(point, 0.02)
            if abs(len(rows) / (np.pi * radius**2) - 1) < 0.01:
                centre = np.array([columns.mean(), rows.mean()]) + 0.5
                np.testing.assert_allclose(centre / 8, place / 8, atol=0.02)
                found[point] += 1
    assert found[HEAD] == 0  # under its hat
    assert found[NECK:].min() >= 5


def test_seen_joints_have_their_colour_and_hidden_ones_are_covered():
    seen = {PIN: [], WOOD: []}
    for i in range(60):
        drawn = draw(2, 0, i, SIZE)
        for point, place in enumerate(drawn.puppet.points):
            if drawn.visible[point] == SEEN and point != HEAD:
                x, y = place.astype(int)
                colour = WOOD if point in (HAND, HAND + 1, FOOT, FOOT + 1) else PIN
                seen[colour].append(drawn.picture[y, x] / drawn.picture[y, x].max())
    for colour, shades in seen.items():
        assert len(shades) > 100
        wanted = np.array(colour) / max(colour)
        assert np.abs(np.mean(shades, axis=0) - wanted).max() < 0.06
        assert np.quantile(np.abs(np.array(shades) - wanted).max(axis=1), 0.95) < 0.15


def test_every_kind_of_visibility_occurs():
    visible = np.array([draw(2, 0, i, SIZE).visible for i in range(100)])
    shares = [(visible == kind).mean() for kind in (MISSING, HIDDEN, SEEN)]
    assert min(shares[:2]) > 0.02
    assert shares[2] > 0.75
    assert (visible[:, HEAD] == SEEN).all()


def test_points_are_the_same_at_any_size():
    one, other = draw(4, 0, 3, 96).puppet, draw(4, 0, 3, 192).puppet
    np.testing.assert_allclose(2 * one.points, other.points, atol=1e-9)


def test_pure_function_of_its_arguments():
    drawn, state = draw(3, 0, 5, 96), np.random.get_state()[1].copy()
    again = draw(3, 0, 5, 96)
    assert (again.picture == drawn.picture).all()
    assert (again.puppet.points == drawn.puppet.points).all()
    assert (np.random.get_state()[1] == state).all()
    for other in ((4, 0, 5, 96), (3, 1, 5, 96), (3, 0, 6, 96)):
        assert (draw(*other).picture != drawn.picture).any()


def test_source_and_its_samples():
    source = open_data("puppets:seed=5, size=64,train=3,val=2")
    assert isinstance(source, PointSource)
    assert (source.name, source.kind, source.bands, source.scale) == ("puppets", "points", 3, 255.0)
    assert [len(source.split(s)) for s in source.splits] == [3, 2, 80]
    split = source.split("val")
    assert isinstance(split, LabelledFigures)
    assert split.classes.names == SKELETON.names
    sample, drawn = split[1], draw(5, 1, 1, 64)
    assert (sample.image.numpy() == np.moveaxis(drawn.picture, 2, 0)).all()
    assert (sample.visible.numpy() == drawn.visible).all()
    known = sample.visible > 0
    assert torch.equal(sample.points.isnan().any(dim=1), ~known)
    np.testing.assert_array_equal(sample.points[known], drawn.puppet.points[known.numpy()])
    assert sample.box.tolist() == [0, 0, 64, 64]
    with pytest.raises(IndexError):
        split[2]


def test_statistics_and_survey():
    split = open_data("puppets:train=6").split("train")
    mean, std = measure_statistics(split)
    assert len(mean) == len(std) == 3
    assert values_of(split)[0] == "uint8"
    survey = split.check()
    assert survey.figures == 6
    assert survey.counts[HEAD] == 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("puppets:sede=1", "option='sede': unknown option of puppets; did you mean 'seed'"),
        ("puppets:seed=x", "seed='x': must be a whole number; e.g. puppets:seed=100"),
        ("puppets:size=32", "size=32: must be at least 64"),
    ],
)
def test_spec_faults(spec, message):
    with pytest.raises(InputError, match=message):
        open_data(spec)
