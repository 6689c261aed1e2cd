"""The training stream: pure items, aligned masks, mean-filled borders."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pixelwise.data.classes import Classes, default_palette
from pixelwise.data.evaluation import EvaluationSet
from pixelwise.data.normalise import Normalise, measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Sample
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.errors import InputError

PLAIN = Augmentation(scale=(1.0, 1.0), flip=False, colour=0.0)
UNIT = {"mean": (0.0,), "std": (1.0,), "scale": 1.0}


class Pictures(LabelledPictures):
    """Given pictures of one band, whose values are their own labels."""

    def __init__(self, values, dtype=torch.uint8):
        super().__init__(
            Classes(tuple(str(i) for i in range(200)), default_palette(200)), 1, 1.0, "given"
        )
        self.values = [torch.as_tensor(v) for v in values]
        self.dtype = dtype

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        value = self.values[index]
        return Sample(value[None].to(self.dtype), value.long(), f"picture {index}")


def gradient(height, width):
    return torch.arange(height)[:, None] * 10 + torch.arange(width)


def stream(pictures, crop=(6, 8), seed=0, augmentation=PLAIN, **unit):
    return TrainingStream(pictures, crop, seed, augmentation=augmentation, **(unit or UNIT))


def scenes_stream(seed=0, augmentation=None):
    pictures = open_data("scenes:size=64,train=3").split("train")
    three = {"mean": (0.4, 0.4, 0.4), "std": (0.2, 0.25, 0.3), "scale": 255.0}
    augmentation = augmentation or Augmentation(flip_vertical=True, rotate=True)
    return TrainingStream(pictures, (48, 40), seed, augmentation=augmentation, **three)


def same(one, other):
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]) and one[2] == other[2]


def test_items_are_pure_functions_of_seed_and_position():
    forward = scenes_stream()
    items = [forward[g] for g in range(7)]
    fresh = scenes_stream()
    for g in (5, 0, 6, 3, 3):
        assert same(fresh[g], items[g])
    assert not any(same(scenes_stream(seed=1)[g], items[g]) for g in range(7))
    assert not same(items[0], items[3])
    for image, mask, _ in items:
        assert image.shape == (3, 48, 40)
        assert image.dtype == torch.float32
        assert mask.shape == (48, 40)
        assert mask.dtype == torch.int64


def test_workers_change_nothing():
    def read(workers):
        batches = []
        for image, mask, names in DataLoader(scenes_stream(), batch_size=2, num_workers=workers):
            batches.append((image, mask, list(names)))
            if len(batches) == 3:
                return batches

    for alone, shared in zip(read(0), read(2), strict=True):
        assert same(alone, shared)


def test_global_random_state_is_untouched():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    scenes_stream()[4]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_every_epoch_shows_every_picture_once_in_another_order():
    pictures = Pictures([torch.full((6, 8), i) for i in range(20)])
    read = stream(pictures)
    epochs = [[int(read[e * 20 + i][1][0, 0]) for i in range(20)] for e in range(3)]
    for order in epochs:
        assert sorted(order) == list(range(20))
    assert epochs[0] != epochs[1] != epochs[2]


def test_without_augmentation_the_picture_itself():
    image, mask, name = stream(Pictures([gradient(6, 8)]))[0]
    assert torch.equal(mask, gradient(6, 8))
    assert torch.equal(image[0], gradient(6, 8).float())
    assert name == "picture 0"


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_crop_takes_the_same_place_of_picture_and_mask(dtype):
    read = stream(Pictures([gradient(12, 9)], dtype), crop=(4, 5))
    corners = set()
    for g in range(500):
        image, mask, _ = read[g]
        assert torch.equal(image[0].long(), mask)
        assert torch.equal(mask - mask[0, 0], gradient(4, 5))
        corners.add(int(mask[0, 0]))
    assert corners == {10 * r + c for r in range(9) for c in range(5)}


def test_flips_and_turns_move_picture_and_mask_together():
    how = Augmentation(scale=(1.0, 1.0), flip_vertical=True, rotate=True, colour=0.0)
    read = stream(Pictures([gradient(9, 9)]), crop=(9, 9), augmentation=how)
    seen = set()
    for g in range(120):
        image, mask, _ = read[g]
        assert torch.equal(image[0].long(), mask)
        seen.add((int(mask[0, 0]), int(mask[0, -1])))
    assert seen == {(0, 8), (8, 0), (80, 88), (88, 80), (0, 80), (80, 0), (8, 88), (88, 8)}


def test_turned_crops_keep_their_size():
    how = Augmentation(scale=(1.0, 1.0), rotate=True, colour=0.0)
    read = stream(Pictures([gradient(12, 12)]), crop=(4, 7), augmentation=how)
    steps = set()
    for g in range(60):
        _, mask, _ = read[g]
        assert mask.shape == (4, 7)
        steps.add(int(mask[0, 1] - mask[0, 0]))
    assert steps == {1, -1, 10, -10}


def test_small_pictures_are_filled_with_mean_and_ignored():
    pictures = Pictures([gradient(4, 5)])
    read = stream(pictures, crop=(7, 8), mean=(20.0,), std=(4.0,), scale=1.0)
    places = set()
    for g in range(100):
        image, mask, _ = read[g]
        outside = mask == 255
        assert outside.sum() == 7 * 8 - 4 * 5
        assert (image[0][outside] == 0).all()
        inside = (gradient(4, 5).float() - 20) / 4
        torch.testing.assert_close(image[0][~outside].view(4, 5), inside)
        places.add(tuple(torch.nonzero(~outside)[0].tolist()))
    assert places == {(r, c) for r in range(4) for c in range(4)}


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.7, 2.0])
def test_scaled_crops_stay_aligned(factor):
    """A smooth picture, scaled, equals its nearest-neighbour mask up to half a pixel a side."""
    smooth = torch.arange(64)[:, None] + torch.arange(80)
    how = Augmentation(scale=(factor, factor), colour=0.0)
    read = stream(Pictures([smooth], torch.float32), crop=(24, 20), augmentation=how)
    for g in range(10):
        image, mask, _ = read[g]
        inside = mask != 255
        assert inside.all()
        assert (image[0] - mask)[1:-1, 1:-1].abs().max() <= 1.0 + 1e-4
        rise = (mask[0, 18] - mask[0, 1]).abs() / 17
        assert float(rise) == pytest.approx(1 / factor, abs=0.1)


def test_large_scale_range_covers_the_crop():
    how = Augmentation(scale=(0.1, 3.0), rotate=True, flip_vertical=True)
    read = stream(Pictures([gradient(13, 7)]), crop=(11, 17), augmentation=how)
    for g in range(300):
        image, mask, _ = read[g]
        assert image.isfinite().all()
        assert (mask != 255).any()


def test_colour_varies_only_pictures_of_three_bytes():
    still = Augmentation(scale=(1.0, 1.0), flip=False, colour=0.0)
    moved = Augmentation(scale=(1.0, 1.0), flip=False, colour=0.3)
    plain, varied = (scenes_stream(augmentation=how)[1] for how in (still, moved))
    assert torch.equal(plain[1], varied[1])
    assert not torch.equal(plain[0], varied[0])
    grey = Pictures([gradient(6, 8)])
    assert same(stream(grey, augmentation=moved)[0], stream(grey, augmentation=still)[0])


def test_faults():
    pictures = Pictures([gradient(6, 8)])
    with pytest.raises(InputError, match="must be 0 < smallest <= largest"):
        Augmentation(scale=(2.0, 0.5))
    with pytest.raises(InputError, match="must be from 0 to 1"):
        Augmentation(colour=1.5)
    with pytest.raises(InputError, match="crop=0: must be at least 1"):
        stream(pictures, crop=(0, 4))
    with pytest.raises(InputError, match="1 bands, but mean and std are for 3"):
        stream(pictures, mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0)[0]
    with pytest.raises(InputError, match="mean has 1 bands, std has 2"):
        Normalise((0.0,), (1.0, 1.0), 255.0)
    with pytest.raises(InputError, match="must be above 0"):
        Normalise((0.0,), (0.0,), 255.0)


def test_evaluation_items_are_whole_pictures():
    pictures = open_data("scenes:size=64,val=2").split("val")
    mean, std = (0.3, 0.4, 0.5), (0.2, 0.25, 0.3)
    items = EvaluationSet(pictures, mean=mean, std=std, scale=255.0)
    assert len(items) == 2
    image, mask, name, missing = items[1]
    assert missing == 0
    raw = pictures[1].image.double() / 255
    expected = (raw - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(image.double(), expected, atol=1e-5, rtol=0)
    assert torch.equal(mask, pictures[1].mask)
    assert name == pictures[1].name


def test_statistics():
    pictures = open_data("scenes:size=64,train=5").split("train")
    every = torch.stack([pictures[i].image for i in range(5)]).double() / 255
    mean, std = measure_statistics(pictures)
    assert mean == pytest.approx(every.mean(dim=(0, 2, 3)).tolist())
    assert std == pytest.approx(every.std(dim=(0, 2, 3), correction=0).tolist())
    assert measure_statistics(pictures, count=2) == measure_statistics(pictures, count=2)
    one = pictures[0].image.double() / 255
    assert measure_statistics(pictures, count=1)[0] == pytest.approx(one.mean(dim=(1, 2)).tolist())


def test_statistics_of_a_constant_band():
    assert measure_statistics(Pictures([torch.full((4, 4), 7)])) == ((7.0,), (1.0,))


def test_statistics_of_sixteen_bits():
    pictures = Pictures([gradient(6, 8)], torch.uint16)
    mean, _ = measure_statistics(pictures)
    assert mean == (gradient(6, 8).double().mean().item(),)
