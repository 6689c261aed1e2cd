"""The pixels of a polygon, beside a slow rule that takes every centre alone, and beside COCO's."""

from fractions import Fraction

import numpy as np
import pytest

from pixelwise.data.annotations.raster import area, fill
from pixelwise.data.annotations.shapes import Polygon


def covered(polygon, height, width):
    mask = np.zeros((height, width), np.bool_)
    rows, columns, inside = polygon.covered(height, width)
    mask[rows, columns] = inside
    return mask


def slow(ring, height, width):
    """Crossings to the left of every centre, in exact numbers."""
    corners = [(Fraction(x), Fraction(y)) for x, y in np.asarray(ring, np.float64).tolist()]
    mask = np.zeros((height, width), np.bool_)
    half = Fraction(1, 2)
    for row in range(height):
        for column in range(width):
            x, y = column + half, row + half
            for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
                if (y1 > y) != (y2 > y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) <= x:
                    mask[row, column] ^= True
    return mask


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ["floats", "integers", "halves"])
def test_polygons_have_the_pixels_whose_centres_are_inside(seed, kind):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 16, 2).tolist()
    ring = rng.uniform(-8, 24, (rng.integers(3, 9), 2))
    if kind != "floats":
        ring = np.round(ring) + 0.5 * (kind == "halves")
    assert (covered(Polygon(ring), height, width) == slow(ring, height, width)).all()


def test_neighbours_share_no_pixel_and_leave_none():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.concatenate(
            [[(0, 0), (9, 0), (9, 9), (0, 9)], rng.integers(0, 19, (1, 2)) / 2]
        )
        count = np.zeros((9, 9), np.int64)
        for i in range(4):
            count += covered(Polygon(corners[[i, (i + 1) % 4, 4]]), 9, 9)
        assert (count == 1).all()


def test_holes_and_crossings():
    square = np.array([(0, 0), (6, 0), (6, 6), (0, 6)], np.float64)
    hole = square / 3 + 2
    mask = covered(Polygon(square, (hole, hole + 3)), 8, 8)
    assert mask.sum() == 36 - 4 - 1
    assert not mask[2:4, 2:4].any()
    twice = np.concatenate([square, hole])  # even-odd: what is enclosed twice is outside
    assert covered(Polygon(twice), 8, 8).sum() == slow(twice, 8, 8).sum()
    relative = Polygon(square / 6, (), relative=True)
    assert covered(relative, 3, 7).all()


@pytest.mark.parametrize("seed", range(20))
def test_centres_on_edges_may_belong_to_it(seed):
    rng = np.random.default_rng(seed)
    ring = rng.integers(-4, 16, (rng.integers(3, 7), 2)) + 0.5
    rows, columns = np.indices((12, 13)) + 0.5
    on_edge = np.zeros((12, 13), np.bool_)
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, 0), strict=True):
        level = (columns - x1) * (y2 - y1) == (rows - y1) * (x2 - x1)
        across = (columns - x1) * (columns - x2) <= 0
        on_edge |= level & across & ((rows - y1) * (rows - y2) <= 0)
    expected = slow(ring, 12, 13) | on_edge
    assert (covered(Polygon(ring, edges=True), 12, 13) == expected).all()


def test_what_lies_outside_is_cut_off():
    far = np.array([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)])
    assert covered(Polygon(far), 3, 4).all()
    assert not covered(Polygon(far / 1e6 - 5), 3, 4).any()
    assert fill(far / 1e6 + 50, 3, 4)[2].size == 0
    assert covered(Polygon(far, (far,)), 3, 4).sum() == 0


def test_areas():
    ring = np.array([(1, 1), (5, 1), (5, 4), (1, 4)], np.float64)
    assert area(ring) == 12
    assert area(ring[::-1] + 1e6) == 12


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("seed", range(10))
def test_nearly_the_pixels_of_coco(seed):
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 20))
    radius = rng.uniform(20, 60, (20, 1))
    ring = np.stack([np.cos(angles), np.sin(angles)], 1) * radius + 64
    theirs = mask.decode(mask.merge(mask.frPyObjects([ring.ravel().tolist()], 128, 128))) > 0
    ours = covered(Polygon(ring), 128, 128)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.97
