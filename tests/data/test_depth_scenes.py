"""Depth scenes: pure functions of their seed, whose depth is that of a pinhole camera."""

import numpy as np
import pytest
import torch

from pixelwise.data.depth_geometry import FARTHEST, FOCAL, HEIGHT, PLANE, SKY, Solid, look, rays
from pixelwise.data.depth_painting import draw, plan
from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

SIZE = 96
COUNT = 12


def kinds(index, seed=7):
    view = plan(seed, 0, index)
    return view, look(rays(SIZE, view.tilt), view.solids).kind.reshape(SIZE, SIZE)


def test_depth_of_the_plane():
    """At row r it is height / (v cos tilt + sin tilt), v = (r + 1/2 - side / 2) / focal length."""
    for i in range(COUNT):
        depth = draw(7, 0, i, SIZE)[1]
        view, kind = kinds(i)
        v = (np.arange(SIZE) + 0.5 - SIZE / 2) / (FOCAL * SIZE)
        expected = HEIGHT / (v * np.cos(view.tilt) + np.sin(view.tilt))
        rows, columns = np.nonzero(kind == PLANE)
        assert len(rows) > 0.2 * SIZE**2
        np.testing.assert_allclose(depth[rows, columns], expected[rows], rtol=0, atol=1e-4)
        assert (np.isnan(depth) == (kind == SKY)).all()
        beyond = (expected <= 0) | (expected >= FARTHEST)
        assert (kind[beyond] != PLANE).all()


def test_what_is_seen_of_a_ball_lies_on_it():
    found = 0
    for i in range(COUNT):
        view, kind = kinds(i)
        depth = draw(7, 0, i, SIZE)[1].ravel().astype(float)
        places = rays(SIZE, view.tilt) * depth
        for number, solid in enumerate(view.solids, PLANE + 1):
            here = places[:, kind.ravel() == number]
            if solid.ball and here.size:
                away = np.linalg.norm(here - solid.centre[:, None], axis=0)
                np.testing.assert_allclose(away, solid.half[0], rtol=2e-4)
                found += 1
    assert found > 10


def test_what_is_seen_of_a_box_lies_on_its_faces():
    found = 0
    for i in range(COUNT):
        view, kind = kinds(i)
        depth = draw(7, 0, i, SIZE)[1].ravel().astype(float)
        places = rays(SIZE, view.tilt) * depth
        for number, solid in enumerate(view.solids, PLANE + 1):
            here = places[:, kind.ravel() == number]
            if not solid.ball and here.size:
                x, y, z = here - solid.centre[:, None]
                cos, sin = np.cos(solid.turn), np.sin(solid.turn)
                own = np.stack([cos * x + sin * z, y, cos * z - sin * x])
                furthest = np.abs(own / np.array(solid.half)[:, None]).max(axis=0)
                np.testing.assert_allclose(furthest, 1, rtol=1e-4)
                found += 1
    assert found > 10


def test_a_box_across_the_view():
    """Level camera, box face on: the depth of its front is the distance of that face."""
    box = Solid(0.0, 5.0, (1.0, 1.0, 0.5))
    seen = look(rays(64, 0.0), (box,))
    hit = seen.kind == PLANE + 1
    front = hit & (seen.places[1] > HEIGHT - 2.0 + 0.05)  # below its top
    assert front.sum() > 100
    np.testing.assert_allclose(seen.depth[front], 4.5, atol=1e-9)
    right, down = seen.places[:2, hit]
    assert np.abs(right).max() <= 1 + 1e-9
    assert down.min() >= HEIGHT - 2 - 1e-9


def test_things_stand_on_the_plane_apart_from_each_other():
    for i in range(COUNT):
        solids = plan(7, 0, i).solids
        assert len(solids) >= 3
        for n, one in enumerate(solids):
            assert one.centre[1] + one.half[1] == pytest.approx(HEIGHT)
            for other in solids[:n]:
                apart = np.hypot(one.right - other.right, one.ahead - other.ahead)
                assert apart > one.radius + other.radius


def test_size_in_the_picture_does_not_tell_distance():
    """Size over distance is the same for near and far things; size alone is not."""
    solids = [solid for i in range(150) for solid in plan(7, 0, i).solids]
    ahead, size = (np.log([s.ahead for s in solids]), np.log([s.half[0] for s in solids]))
    assert abs(np.corrcoef(ahead, size - ahead)[0, 1]) < 0.15
    assert np.corrcoef(ahead, size)[0, 1] > 0.6


def test_pure_function_of_its_arguments():
    (picture, depth), state = draw(3, 0, 5, 96), np.random.get_state()[1].copy()
    again = draw(3, 0, 5, 96)
    assert (again[0] == picture).all()
    np.testing.assert_array_equal(again[1], depth)
    assert (np.random.get_state()[1] == state).all()
    for other in ((4, 0, 5, 96), (3, 1, 5, 96), (3, 0, 6, 96)):
        assert (draw(*other)[0] != picture).any()


def test_source_and_its_samples():
    source = open_data("depth-scenes:seed=5, size=64,train=3,val=2")
    assert (source.name, source.kind, source.bands) == ("depth-scenes", "values", 3)
    assert source.classes.names == ("depth",)
    assert [len(source.split(s)) for s in source.splits] == [3, 2, 80]
    split = source.split("val")
    assert np.isnan(split.outside)
    sample, (picture, depth) = split[1], draw(5, 1, 1, 64)
    assert (sample.image.numpy() == np.moveaxis(picture, 2, 0)).all()
    assert sample.mask.dtype == torch.float32
    assert tuple(sample.mask.shape) == (1, 64, 64)
    np.testing.assert_array_equal(sample.mask[0].numpy(), depth)
    assert split.size(1) == (64, 64)
    assert len(measure_statistics(split)[0]) == 3
    with pytest.raises(IndexError):
        split[2]


def test_what_is_done_to_a_sample_stays_with_it():
    split = open_data("depth-scenes:size=64").split("train")
    before = split[0].mask.clone()
    split[0].mask.zero_()
    torch.testing.assert_close(split[0].mask, before, equal_nan=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("depth-scenes:sede=1", "option='sede': unknown option of depth-scenes"),
        ("depth-scenes:size=32", "size=32: must be at least 64"),
    ],
)
def test_spec_faults(spec, message):
    with pytest.raises(InputError, match=message):
        open_data(spec)
