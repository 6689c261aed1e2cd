"""Borders and tolerance: worked examples, brute force, and what does not count."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import InputError
from pixelwise.metrics import BoundaryCounts
from pixelwise.metrics.neighbours import beside_others, largest, within


def pairs(height, width):
    """Distances from every pixel to every other, by rows and columns."""
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    return (places[:, None] - places[None]).abs()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    distance=st.integers(0, 15),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_neighbours_equal_looking_at_all_pairs(seed, height, width, distance, share):
    generator = torch.Generator().manual_seed(seed)
    inside = torch.rand(height, width, generator=generator) < share
    apart = pairs(height, width)
    near = apart.square().sum(2) <= distance**2
    expected = (near & inside.flatten()[None]).any(1).view(height, width)
    assert torch.equal(within(inside, distance), expected)
    square = apart.amax(2) <= distance
    values = torch.randint(-5, 5, (height, width), generator=generator)
    expected = values.flatten()[None].expand_as(square).masked_fill(~square, -99).amax(1)
    assert torch.equal(largest(values, distance), expected.view(height, width))
    labels = torch.randint(0, 3, (height, width), generator=generator)
    other = labels.flatten()[None] != labels.flatten()[:, None]
    expected = (square & other & inside.flatten()[None]).any(1).view(height, width)
    assert torch.equal(beside_others(labels, inside, distance), expected)


def crack(column, height=20, width=30):
    mask = torch.zeros(height, width, dtype=torch.int64)
    mask[:, column] = 1
    return mask


@pytest.mark.parametrize(("tolerance", "f1"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0)])
def test_a_shifted_crack(tolerance, f1):
    counts = BoundaryCounts(2, tolerance)
    counts.update(crack(12), crack(10))
    assert counts.tolerant_f1()[1] == f1
    assert counts.boundary_f()[1] == f1
    assert counts.tolerant_f1()[0] > 0.9


def test_worked_example():
    """Two squares of class 1, the predicted one shifted right by one pixel."""
    mask, prediction = torch.zeros(2, 12, 12, dtype=torch.int64)
    mask[3:8, 3:8], prediction[3:8, 4:9] = 1, 1
    counts = BoundaryCounts(2, 1)
    counts.update(prediction, mask)
    assert counts.borders[:, 1].tolist() == [16, 16, 16, 16]
    assert counts.pixels[:, 1].tolist() == [25, 25, 25, 25]
    exact = BoundaryCounts(2, 0)
    exact.update(prediction, mask)
    # Of 16 border pixels four of the upper and lower side coincide.
    assert exact.borders[:, 1].tolist() == [8, 16, 8, 16]
    assert exact.boundary_f()[1] == pytest.approx(0.5)
    assert exact.tolerant_f1()[1] == pytest.approx(20 / 25)


def test_boundary_iou_equals_erosions():
    """As the authors: the mask without what is left after d erosions, padded by zeros."""
    torch.manual_seed(0)
    mask, prediction = (
        torch.randint(0, 3, (2, 9, 12)).repeat_interleave(7, 1).repeat_interleave(6, 2)
    )
    counts = BoundaryCounts(3, 1)
    counts.update(prediction, mask)
    width = round(0.02 * (63**2 + 72**2) ** 0.5)
    assert width > 1

    def band(labels, c):
        inside = torch.nn.functional.pad((labels == c).float(), (1, 1, 1, 1))[None, None]
        left = inside
        for _ in range(width):
            left = -torch.nn.functional.max_pool2d(-left, 3, 1, 1)
        return (inside - left)[0, 0, 1:-1, 1:-1] > 0

    for c in range(3):
        true, found = band(mask, c), band(prediction, c)
        expected = (true & found).sum() / (true | found).sum()
        assert counts.boundary_iou()[c] == pytest.approx(expected.item())


def test_ignored_pixels_do_not_matter():
    torch.manual_seed(1)
    mask, prediction = torch.randint(0, 3, (2, 8, 9)).repeat_interleave(4, 1)
    mask[5:15] = 255
    counts = BoundaryCounts(3, 2)
    counts.update(prediction, mask)
    for part in (counts.pixels[3], counts.bands[1]):
        assert part.sum() <= (mask != 255).sum()
    whole = BoundaryCounts(3, 2)
    whole.update(prediction, torch.full_like(mask, 255))
    assert whole.pixels.sum() == whole.borders.sum() == whole.bands.sum() == 0
    assert whole.boundary_f() == whole.tolerant_f1() == whole.boundary_iou() == (None,) * 3
    # A border to ignored pixels is none.
    alone = BoundaryCounts(2, 2)
    half = torch.zeros(10, 10, dtype=torch.int64)
    half[:, 5:] = 255
    alone.update(torch.zeros_like(half), half)
    assert alone.borders.sum() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1)])
def test_tiny_pictures(size):
    counts = BoundaryCounts(2, 3)
    mask = torch.arange(size[0] * size[1]).view(size) % 2
    counts.update(mask, mask)
    assert all(value in (None, 1.0) for value in counts.tolerant_f1() + counts.boundary_iou())


def test_parts_add_up_and_alike_only():
    torch.manual_seed(2)
    masks = torch.randint(0, 3, (4, 2, 9, 8))
    parts = [BoundaryCounts(3, 1) for _ in masks]
    whole = BoundaryCounts(3, 1)
    for part, (mask, prediction) in zip(parts, masks, strict=True):
        part.update(prediction, mask)
        whole.update(prediction, mask)
    a, b, c, d = parts
    left, right = ((a + b) + c) + d, a + (b + (c + d))
    for total in (left, right):
        assert torch.equal(total.borders, whole.borders)
        assert torch.equal(total.pixels, whole.pixels)
        assert torch.equal(total.bands, whole.bands)
    with pytest.raises(InputError, match="to add up"):
        a + BoundaryCounts(3, 2)
    with pytest.raises(InputError, match="tolerance=51: must be from 0 to 50"):
        BoundaryCounts(3, 51)
