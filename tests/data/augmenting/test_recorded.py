"""Items with the usual settings are those of before there were other kinds of augmentation.

`recorded.json` holds of each item a check sum of its mask and the sum of its picture.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.data.classes import Classes, default_palette
from pixelwise.data.opening import open_data
from pixelwise.data.source import LabelledPictures, Sample
from pixelwise.data.stream import Augmentation, TrainingStream
from pixelwise.tasks.keypoints.stream import PointStream

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))
HOW = {
    "usual": {},
    "all": {"flip_vertical": True, "rotate": True},
    "plain": {"scale": (1.0, 1.0), "flip": False, "colour": 0.0},
    "wide": {"scale": (0.1, 3.0), "rotate": True, "flip_vertical": True},
}


class Drawn(LabelledPictures):
    """Random values in three pictures, some without data."""

    def __init__(self, dtype, bands, missing):
        names = tuple(map(str, range(5)))
        super().__init__(Classes(names, default_palette(5)), bands, 1.0, "given")
        self.dtype, self.missing = dtype, missing

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng([7, index])
        height, width = 20 + 7 * index, 31 - 5 * index
        image = torch.from_numpy(rng.integers(0, 200, (self.bands, height, width))).to(self.dtype)
        mask = torch.from_numpy(rng.integers(0, 5, (height, width)))
        missing = torch.from_numpy(rng.random((height, width)) < 0.1) if self.missing else None
        if missing is not None:
            mask[missing] = 255
        return Sample(image, mask, f"p{index}", missing)


def recorded_stream(name):
    what, _, how = name.rpartition("-")
    unit = {"mean": (0.4,) * 3, "std": (0.2,) * 3, "scale": 255.0}
    if what.startswith("puppets"):
        varied = Augmentation(**HOW[how], turn=30.0)
        figures = open_data(what).split("train")
        return PointStream(figures, (48, 40), 5, augmentation=varied, margin=1.25, **unit)
    varied = Augmentation(**HOW[how])
    if not what.startswith("torch"):
        pictures = open_data(what).split("train")
        return TrainingStream(pictures, (48, 40), 5, augmentation=varied, **unit)
    dtype, bands, missing = what.removeprefix("torch.").split("-")
    pictures = Drawn(getattr(torch, dtype), int(bands), missing == "1")
    unit = {"mean": (50.0,) * int(bands), "std": (20.0,) * int(bands), "scale": 1.0}
    return TrainingStream(pictures, (17, 13), 3, augmentation=varied, **unit)


@pytest.mark.parametrize("name", RECORDED)
def test_items_are_those_that_were_recorded(name):
    read = recorded_stream(name)
    for g, (mask_sum, total) in zip((0, 1, 2, 3), RECORDED[name], strict=True):
        image, target, _ = read[g]
        assert zlib.crc32(target.numpy().tobytes()) == mask_sum
        assert float(image.double().sum()) == pytest.approx(total, rel=1e-5, abs=0.01)
