"""Class-balanced crops: the counts that were asked for, held by the crops."""

import collections
import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pixelwise.data.augmenting.balanced import Balance, BalancedOrder, apportioned
from pixelwise.data.augmenting.shares import read_shares
from pixelwise.data.augmenting.window import offset_holding, overlap
from pixelwise.data.classes import Classes, default_palette
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Sample
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.errors import InputError

WILD = {"scale": (0.1, 3.0), "rotate": True, "flip_vertical": True}


class Masks(LabelledPictures):
    """Given masks; every picture is its mask."""

    def __init__(self, masks, classes=4):
        names = tuple("abcdefghij"[:classes])
        super().__init__(Classes(names, default_palette(classes)), 1, 1.0, "given")
        self.masks = [torch.as_tensor(mask).long() for mask in masks]

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, index):
        mask = self.masks[index]
        image = mask if mask.ndim == 2 else mask.sum(0)
        return Sample(image[None].byte(), mask, str(index))


def rare():
    """Twenty pictures of class 0; the third has a pixel of 1, the fifth a speck of 2; no 3."""
    masks = torch.zeros(20, 40, 50, dtype=torch.int64)
    masks[:, :, 25:] = 255
    masks[3, 0, 49] = 1
    masks[5, 20:22, 7] = 2
    return Masks(masks)


def balanced(pictures, asked, seed=0, crop=(16, 12), **how):
    counts = pictures.check().by_picture
    share = Balance.of(asked, pictures.classes.names, counts, pictures.name)
    unit = {"mean": (0.0,) * pictures.bands, "std": (1.0,) * pictures.bands, "scale": 1.0}
    how = Augmentation(**how, balance=share)
    return TrainingStream(pictures, crop, seed, augmentation=how, **unit)


def test_exact_counts_in_every_thousand():
    read = balanced(rare(), {"b": 0.3, "c": 0.1})
    for block in range(3):
        wanted = collections.Counter(read.balanced[1000 * block + i][1] for i in range(1000))
        assert wanted == {1: 300, 2: 100, None: 600}


def test_counts_are_those_of_crops():
    """At least as many crops hold the class as asked for; more only where it is there anyway."""
    read = balanced(rare(), "auto", **WILD)
    asked, held = collections.Counter(), collections.Counter()
    for g in range(1000):
        mask = read[g][1]
        asked[read.balanced[g][1]] += 1
        held.update(mask.unique().tolist())
        assert (mask == read.balanced[g][1]).any()
    assert asked == {0: 334, 1: 333, 2: 333}
    assert held[1] == 333  # one pixel of one picture, which is seen for nothing else
    assert held[2] >= 333


def test_usual_crops_hold_rare_classes_rarely():
    plain = TrainingStream(rare(), (16, 12), 0, mean=(0.0,), std=(1.0,), scale=1.0)
    assert sum(bool((plain[g][1] == 1).any()) for g in range(200)) < 10


def test_every_picture_of_a_class_comes_before_one_comes_again():
    order = balanced(rare(), {"a": 0.25}).balanced
    of_class = [picture for picture, c in map(order.__getitem__, range(1000)) if c == 0]
    others = [picture for picture, c in map(order.__getitem__, range(1000)) if c is None]
    assert (len(of_class), len(others)) == (250, 750)
    assert set(collections.Counter(of_class).values()) == {12, 13}
    assert set(collections.Counter(others).values()) <= {37, 38}


def test_pixels_of_the_class_are_drawn_evenly():
    """Each of 10 pixels is asked for by 100 of 1000 crops; 5 standard deviations are 47."""
    mask = torch.zeros(1, 30, 40, dtype=torch.int64)
    mask[0, 3, 10:20] = 1
    read = balanced(Masks(mask), {"b": 1.0}, crop=(1, 1), scale=(1.0, 1.0), flip=False)
    seen = collections.Counter()
    for g in range(1000):
        assert int(read[g][1]) == 1
        rows = np.random.default_rng([0, 1, g])
        rows.uniform(1, 1), rows.uniform(0, 1, 7), rows.uniform(0, 1, 2)
        seen[int(10 * rows.uniform())] += 1
    assert len(seen) == 10
    assert all(abs(count - 100) < 5 * math.sqrt(1000 * 0.1 * 0.9) for count in seen.values())


def test_labels_that_overlap():
    pictures = open_data("overlapping-scenes:size=64,train=6").split("train")
    read = balanced(pictures, "auto", crop=(24, 20), **WILD)
    classes = read.augmentation.balance.classes
    for g in range(200):
        assert (read[g][1][read.balanced[g][1]] == 1).any()
    counts = collections.Counter(read.balanced[g][1] for g in range(1000))
    assert {counts[c] for c in classes} <= {1000 // len(classes), 1000 // len(classes) + 1}


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 40), (40, 5)])
def test_small_pictures(size):
    mask = torch.zeros(1, *size, dtype=torch.int64)
    mask[0, -1, -1] = 1
    read = balanced(Masks(mask), {"b": 1.0}, **WILD)
    for g in range(100):
        assert (read[g][1] == 1).any()


@pytest.mark.parametrize("window", [1, 3, 8, 13, 30, 41, 90])
def test_windows_hold_the_pixel(window):
    for out in (1, 8, 30):
        for pixel in (0, 7, 29):
            for chance in (0.0, 0.4, 0.999):
                found = offset_holding(pixel, chance, window, 30, out)
                if found is None:
                    assert window > out
                    continue
                assert pixel in overlap(found, window, 30, out).nearest()
                assert min(0, 30 - window) <= found <= max(0, 30 - window)


def test_pure_and_the_same_with_workers():
    def read(workers):
        loader = DataLoader(
            balanced(rare(), "auto", **WILD), 4, sampler=range(998, 1018), num_workers=workers
        )
        return [(image, mask) for image, mask, _ in loader]

    for one, other in zip(read(0), read(2), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    one, other = (balanced(rare(), "auto", seed=seed).balanced for seed in (0, 1))
    assert [one[g] for g in range(20)] != [other[g] for g in range(20)]


def test_many_classes_and_largest_remainders():
    assert apportioned((1 / 3, 1 / 3, 1 / 3), 1000) == [334, 333, 333, 0]
    assert apportioned((0.001, 0.5), 1000) == [1, 500, 499]
    many = Balance(tuple(range(300)), (1 / 300,) * 300, (np.arange(2),) * 300)
    order = BalancedOrder(0, 2, many)
    assert order.block == 3000
    assert set(order.counts) == {10, 0}


def test_what_is_understood_is_told():
    read = balanced(rare(), "auto")
    names = rare().classes.names
    assert read.augmentation.balance.line(names) == (
        "balance each of 3 classes in 33.3 % of crops; in no training picture: d"
    )
    some = balanced(rare(), {"c": 0.25}).augmentation.balance
    assert some.line(names) == ("balance at least c 25 % of crops hold it; the others as they come")


def test_a_class_in_no_picture():
    with pytest.raises(InputError, match="no picture of given has a pixel of d; leave it"):
        balanced(rare(), {"d": 0.2})
    with pytest.raises(InputError, match="class='q': unknown class in balance; known: a, b, c, d"):
        balanced(rare(), {"q": 0.2})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("car=0.3, traffic sign=.2", {"car": 0.3, "traffic sign": 0.2}),
        ("{car: 1e-1}", {"car": 0.1}),
        ({"汽车": 1, 7: 0}, None),
        ({"汽车": 1}, {"汽车": 1.0}),
        ({1: 0.2, "1": 0.2}, None),
        *((text, None) for text in ("", "car", "car=x", "car=nan", "car=-1", "car=2", "a=1,a=0")),
        *(({"car": value}, None) for value in (True, None, "0.3", math.nan, math.inf, 0, [0.3])),
        ({"a": 0.6, "b": 0.6}, None),
        ({}, None),
    ],
)
def test_shares(asked, found):
    if found is None:
        with pytest.raises(InputError, match="; "):
            read_shares(asked)
    else:
        assert read_shares(asked) == found
