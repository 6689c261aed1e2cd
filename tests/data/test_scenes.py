"""Scenes: pure functions of their seed, in which only a far-away place tells cars from boats."""

import subprocess
import sys

import numpy as np
import pytest

from pixelwise.data.landscape import (
    BOAT,
    BUILDING,
    CAR,
    GROUND,
    ROAD,
    TREE,
    WATER,
    draw,
)
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

SIZE = 128
COUNT = 24


def gap(one, other):
    """The least distance between a pixel of `one` and a pixel of `other`."""
    a, b = (np.argwhere(selected).astype(np.float32) for selected in (one, other))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2).min())


@pytest.fixture(scope="module")
def twins():
    """Each scene drawn with roads and again with canals."""
    return [[draw(7, 0, i, SIZE, water=water) for water in (False, True)] for i in range(COUNT)]


def test_only_the_end_of_the_ways_differs(twins):
    """Within 35 pixels of any vehicle, the two renderings are the same picture."""
    for (road, road_mask), (canal, canal_mask) in twins:
        different = (road != canal).any(axis=2)
        rows, columns = np.nonzero(different)
        side = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.1 * SIZE < side < 0.45 * SIZE
        vehicles = road_mask == CAR
        assert (vehicles == (canal_mask == BOAT)).all()
        assert gap(vehicles, different) > 35


def test_labels_differ_only_by_kind(twins):
    swap = {ROAD: WATER, CAR: BOAT}
    for (_, road), (_, canal) in twins:
        assert not np.isin(road, (WATER, BOAT)).any()
        assert not np.isin(canal, (ROAD, CAR)).any()
        expected = road.copy()
        for one, other in swap.items():
            expected[road == one] = other
        # The harbour's piers are land where the car park is paved.
        piers = (expected == WATER) & (canal == GROUND)
        assert ((expected == canal) | piers).all()
        assert 0 < piers.sum() < 0.03 * piers.size


def test_the_end_is_unmistakable(twins):
    """Where the renderings differ, their mean colours are far apart."""
    for (road, _), (canal, _) in twins:
        different = (road != canal).any(axis=2)
        contrast = np.abs(road[different].mean(axis=0) - canal[different].mean(axis=0))
        assert contrast.max() > 60


def test_most_of_the_ways_lie_outside_the_end(twins):
    for (road, mask), (canal, _) in twins:
        ways = np.isin(mask, (ROAD, CAR))
        assert (ways & (road == canal).all(axis=2)).sum() > 0.55 * ways.sum()


def islands(selected):
    """The sizes, in pixels, of the connected parts."""
    left, sizes = {(r, c) for r, c in np.argwhere(selected).tolist()}, []
    while left:
        front, size = [left.pop()], 0
        while front:
            r, c = front.pop()
            size += 1
            for step in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
                if step in left:
                    left.remove(step)
                    front.append(step)
        sizes.append(size)
    return sizes


def test_every_scene_has_several_whole_vehicles(twins):
    for (_, mask), _ in twins:
        sizes = islands(mask == CAR)
        assert 4 <= len(sizes) <= 8
        assert min(sizes) >= 40
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert CAR not in border


def test_half_of_the_scenes_have_canals():
    wet = [bool((draw(1, 0, i, 64)[1] == BOAT).any()) for i in range(40)]
    assert sum(wet) == 20
    assert wet != [bool(i % 2) for i in range(40)]
    assert wet != [not i % 2 for i in range(40)]


def test_every_class_occurs_and_ground_is_not_everything():
    counts = np.bincount(
        np.concatenate([draw(2, 1, i, SIZE)[1].ravel() for i in range(COUNT)]), minlength=7
    )
    share = counts / counts.sum()
    assert share[[BUILDING, ROAD, TREE, WATER, CAR, BOAT]].min() > 0.008
    assert share[GROUND] < 0.75


def test_pure_function_of_its_arguments():
    picture, mask = draw(3, 0, 5, 96)
    state = np.random.get_state()[1].copy()
    again = draw(3, 0, 5, 96)
    assert (again[0] == picture).all()
    assert (again[1] == mask).all()
    assert (np.random.get_state()[1] == state).all()
    for other in ((4, 0, 5, 96), (3, 1, 5, 96), (3, 0, 6, 96)):
        assert (draw(*other)[0] != picture).any()


def test_source_and_its_spec():
    source = open_data("scenes:seed=5, size=64,train=3,val=2")
    assert (source.name, source.bands, source.scale) == ("scenes", 3, 255.0)
    assert [len(source.split(s)) for s in source.splits] == [3, 2, 80]
    sample = source.split("val")[1]
    picture, mask = draw(5, 1, 1, 64)
    assert (sample.image.numpy() == np.moveaxis(picture, 2, 0)).all()
    assert (sample.mask.numpy() == mask).all()
    counts = source.split("val").check().counts
    assert sum(counts) == 2 * 64 * 64
    with pytest.raises(IndexError):
        source.split("val")[2]
    assert [len(open_data("scenes").split(s)) for s in source.splits] == [400, 80, 80]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("scenes:sede=1", "option='sede': unknown option of scenes; did you mean 'seed'"),
        ("scenes:seed=x", "seed='x': must be a whole number"),
        ("scenes:seed=-1", "seed=-1: must be at least 0"),
        ("scenes:size=32", "size=32: must be at least 64"),
        ("scenes:train=0", "train=0: must be at least 1"),
    ],
)
def test_spec_faults(spec, message):
    with pytest.raises(InputError, match=message):
        open_data(spec)


def test_describing_data_imports_no_torchvision():
    code = (
        "import sys, pixelwise.data.config, pixelwise.data.opening, pixelwise.data.scenes, "
        "pixelwise.data.folder, pixelwise.data.stream; print('torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
