"""One matrix for a picture and its points, and its inverse."""

import numpy as np
import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.tasks.keypoints.geometry import (
    crop_matrix,
    inverse,
    mirror_matrix,
    mirrored_points,
    transformed,
)
from pixelwise.tasks.keypoints.published_geometry import in_halves, published_matrix
from pixelwise.tasks.keypoints.warping import warp

BOX = (10.0, 20.0, 40.0, 60.0)


def bump(points, size, spread=4.0):
    """A picture with a Gaussian at a point."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    squares = (x - points[0]) ** 2 + (y - points[1]) ** 2
    return torch.from_numpy(np.exp(-squares / (2 * spread**2)))[None]


def centre(picture):
    y, x = np.mgrid[: picture.shape[1], : picture.shape[2]] + 0.5
    weights = picture[0].numpy()
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("rotation", [0.0, 30.0, -75.0])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("size", [(96, 128), (160, 64)])
def test_picture_and_point_go_to_the_same_place(rotation, mirror, size):
    matrix = crop_matrix(BOX, size, rotation=rotation, mirror=mirror)
    point = np.array([33.3, 52.7])
    crop = warp(bump(point, (100, 90)), matrix, size)
    np.testing.assert_allclose(centre(crop), transformed(point, matrix), atol=0.02)


def test_box_fills_the_crop():
    matrix = crop_matrix(BOX, (60, 80), margin=1.0)
    corners = np.array([[10.0, 20.0], [50.0, 80.0]])
    np.testing.assert_allclose(transformed(corners, matrix), [[20.0, 0.0], [60.0, 60.0]])


def test_clockwise():
    matrix = crop_matrix(BOX, (60, 60), rotation=90.0)
    right_of_centre = np.array([40.0, 50.0])
    x, y = transformed(right_of_centre, matrix)
    assert x == pytest.approx(30)
    assert y > 30


def test_there_and_back():
    points = np.random.default_rng(0).uniform(0, 100, (5, 4, 2))
    points[0, 0] = np.nan
    matrix = crop_matrix(BOX, (64, 48), rotation=20.0, mirror=True)
    back = transformed(transformed(points, matrix), inverse(matrix))
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_mirror_is_exact():
    picture = torch.rand(3, 7, 10, dtype=torch.float64)
    assert torch.equal(warp(picture, mirror_matrix(10), (7, 10)), picture.flip(-1))
    points = np.array([[[0.0, 1.0], [10.0, 2.0], [0.5, 3.0]]])
    mirrored = mirrored_points(points, 10, (0, 2, 1))
    assert mirrored.tolist() == [[[10.0, 1.0], [9.5, 3.0], [0.0, 2.0]]]
    assert np.array_equal(mirrored_points(mirrored, 10, (0, 2, 1)), points)


def test_nothing_changes_without_a_crop():
    picture = torch.rand(2, 6, 5)
    matrix = crop_matrix((0.0, 0.0, 5.0, 6.0), (6, 5), margin=1.0)
    assert torch.equal(warp(picture, matrix, (6, 5)), picture)


def test_zero_outside_of_the_picture():
    picture = torch.ones(1, 4, 4)
    crop = warp(picture, crop_matrix((0.0, 0.0, 4.0, 4.0), (8, 8), margin=2.0), (8, 8))
    assert torch.equal(crop[0, 2:6, 2:6], torch.ones(4, 4))
    assert crop.sum() == 16


def test_positions_of_opencv_are_near_the_exact_ones():
    torch.manual_seed(0)
    picture = torch.rand(1, 40, 30, dtype=torch.float64)
    matrix = crop_matrix((3.0, 4.0, 20.0, 25.0), (32, 24), rotation=17.0)
    exact, coarse = (warp(picture, matrix, (32, 24), subpixels=n) for n in (None, 32))
    assert 0 < (exact - coarse).abs().max() < 0.05


def test_same_matrix_in_halves():
    whole = published_matrix((40.0, 50.0), (0.5, 0.7), (64, 48), geometry="dark", rotation=25.0)
    points = np.random.default_rng(0).uniform(0, 60, (9, 2))
    np.testing.assert_allclose(
        transformed(points + 0.5, in_halves(whole)), transformed(points, whole) + 0.5
    )


@pytest.mark.parametrize(
    ("box", "options", "message"),
    [
        ((1.0, 2.0, 0.0, 5.0), {}, "must have an area"),
        ((1.0, 2.0, 3.0, float("nan")), {}, "must have an area"),
        (BOX, {"margin": 0.0}, "margin=0.0: must be above 0"),
    ],
)
def test_bad_boxes(box, options, message):
    with pytest.raises(InputError, match=message):
        crop_matrix(box, (8, 8), **options)


def test_matrix_without_inverse():
    with pytest.raises(InputError, match="must have an inverse"):
        warp(torch.ones(1, 4, 4), np.zeros((2, 3)), (4, 4))
