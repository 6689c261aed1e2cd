"""Maps with markers: classes are balanced, and can be told from no border and no part of them."""

import pytest
import torch

from pixelwise.probe.variants import VARIANTS, distances_up_to

SIZE = 9
KEYS = list(VARIANTS)


def drawn(key, images, seed=0, size=SIZE):
    return VARIANTS[key].draw(images, size, torch.Generator().manual_seed(seed))


def markers(one):
    """Which places of the maps hold a marker, by colour."""
    return one.maps[:, :-1] > 0.5


def test_distances_end_with_the_largest():
    assert distances_up_to(1) == (1,)
    assert distances_up_to(9) == (1, 2, 3, 4, 6, 8, 9)
    assert distances_up_to(23) == (1, 2, 3, 4, 6, 8, 12, 16, 23)
    assert VARIANTS["position"].distances(20) == (1, 2, 3, 4, 6, 8, 9)


@pytest.mark.parametrize("key", KEYS)
def test_seeds_repeat_the_maps(key):
    one, same, other = drawn(key, 8), drawn(key, 8), drawn(key, 8, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.maps, other.maps)


@pytest.mark.parametrize("key", KEYS)
def test_classes_are_balanced_at_every_distance(key):
    one, variant = drawn(key, 6000), VARIANTS[key]
    for distance in variant.distances(SIZE):
        asked = one.distances == distance
        share = asked / asked.sum(dim=(1, 2), keepdim=True).clamp(min=1)  # each map counts once
        maps = asked.any(dim=2).any(dim=1).sum()
        for label in range(variant.classes):
            found = share[one.labels == label].sum() / maps
            deviation = (variant.chance * (1 - variant.chance) / maps) ** 0.5
            assert abs(found - variant.chance) < 4 * deviation, (distance, label)


@pytest.mark.parametrize("key", KEYS)
def test_the_place_of_a_pixel_tells_nothing(key):
    one, variant = drawn(key, 20000), VARIANTS[key]
    asked = one.distances > 0
    count = asked.sum(dim=0)
    for label in range(variant.classes):
        found = ((one.labels == label) & asked).sum(dim=0)[count > 500] / count[count > 500]
        deviation = (variant.chance * (1 - variant.chance) / count[count > 500]).sqrt()
        assert ((found - variant.chance).abs() < 5 * deviation).all()


def test_quadrants_of_all_possible_markers_are_exactly_balanced():
    """Every pixel, every distance, every marker there is."""
    one = drawn("position", 6000)
    place = markers(one).any(dim=1).flatten(1).int().argmax(dim=1)
    first = {int(at): number for number, at in enumerate(place)}
    assert len(first) == SIZE * SIZE
    every = list(first.values())
    labels, distances = one.labels[every], one.distances[every]
    for distance in VARIANTS["position"].distances(SIZE):
        counts = [((labels == k) & (distances == distance)).sum(dim=0) for k in range(4)]
        assert counts[0].sum() > 0
        assert all(torch.equal(counts[0], other) for other in counts[1:])


def test_one_of_two_markers_alone_tells_nothing():
    one = drawn("order", 20000)
    red, blue = markers(one)[:, :2].flatten(2).int().argmax(dim=2).unbind(dim=1)
    line = torch.arange(SIZE)
    at = SIZE // 2
    for column in range(1, SIZE - 1):  # the red marker is in the middle row, the blue one beside it
        same = (red == at * SIZE + column) & (blue // SIZE == at)
        asked = one.distances[same] > 0
        asked &= (line - column).abs() < (line[:, None] - at).abs()  # not the outermost place
        count = asked.sum(dim=0)
        found = ((one.labels[same] == 0) & asked).sum(dim=0)
        known = count > 0
        share = found[known] / count[known]
        assert ((share - 0.5).abs() < 4 * 0.5 / count[known].sqrt()).all()


@pytest.mark.parametrize("key", ["order", "count"])
def test_all_markers_are_exactly_as_far_as_said(key):
    one = drawn(key, 200)
    for number in range(200):
        found = markers(one)[number].any(dim=0).nonzero()
        for row, column in (one.distances[number] > 0).nonzero():
            far = (found - torch.stack([row, column])).abs().amax(dim=1)
            assert (far == one.distances[number, row, column]).all()


def test_labels_are_what_is_on_the_map():
    one = drawn("distance", 50)
    colours = markers(one).flatten(2).any(dim=2)
    assert (colours.sum(dim=1) == 1).all()
    assert torch.equal(colours.int().argmax(dim=1), one.labels[:, 0, 0])
    one = drawn("count", 50)
    assert torch.equal(markers(one).sum(dim=(1, 2, 3)), one.labels[:, 0, 0])
    one = drawn("order", 50)
    places = markers(one).flatten(2).int().argmax(dim=2)
    assert torch.equal((places[:, 0] > places[:, 1]).long(), one.labels[:, 0, 0])
