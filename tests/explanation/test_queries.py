import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.explanation.queries import automatic_queries


def test_one_pixel_inside_each_class_largest_first():
    classes = torch.zeros(9, 15, dtype=torch.long)
    classes[:, 10:] = 4
    classes[0, 3] = 7  # a single pixel
    queries = automatic_queries(classes)
    assert [int(classes[at]) for at in queries] == [0, 4, 7]
    assert queries == [(4, 5), (4, 12), (0, 3)]


def test_the_widest_region_is_chosen_and_its_middle():
    classes = torch.ones(12, 20, dtype=torch.long)
    classes[1:10, 1] = 0  # long and thin
    classes[2:7, 8:17] = 0  # wide: all of rows 4, columns 10..14 are two steps inside
    assert automatic_queries(classes, most=2)[1] == (4, 12)


def test_depth_is_the_distance_to_what_is_not_the_class():
    generator = torch.Generator().manual_seed(0)
    classes = (torch.rand(14, 17, generator=generator) < 0.08).long()
    padded = torch.full((16, 19), -1)
    padded[1:-1, 1:-1] = classes
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(19), indexing="ij")
    row, column = automatic_queries(classes)[0]

    def distance(i, j):
        away = (rows - i - 1).abs() + (columns - j - 1).abs()
        return int(away[padded != classes[i, j]].min())

    every = [distance(i, j) for i in range(14) for j in range(17) if classes[i, j] == 0]
    assert distance(row, column) == max(every)


def test_ignored_classes_and_the_most_are_kept_to():
    classes = torch.arange(6).repeat_interleave(6).view(6, 6)
    assert len(automatic_queries(classes, most=4)) == 4
    assert [int(classes[at]) for at in automatic_queries(classes, ignore=0)] == [1, 2, 3, 4, 5]
    assert automatic_queries(torch.full((1, 1), 3)) == [(0, 0)]
    with pytest.raises(InputError, match="most=0: must be at least 1"):
        automatic_queries(classes, most=0)
