"""Pictures that are their own masks, so that both can be compared after any augmentation."""

import numpy as np
import torch

from pixelwise.data.augmenting.asked import read_augment
from pixelwise.data.augmenting.chosen import Kinds
from pixelwise.data.augmenting.copy_paste import rare_classes
from pixelwise.data.classes import Classes, default_palette
from pixelwise.data.source import LabelledPictures, Sample
from pixelwise.data.stream import Augmentation, TrainingStream

STILL = {"scale": (1.0, 1.0), "flip": False, "colour": 0.0}
CLASSES = 5
STEP = 40
"""Raw value of class c: (c + 1) STEP."""


class Coloured(LabelledPictures):
    """Large patches of classes; every band of a picture is (class + 1) STEP."""

    def __init__(
        self, sizes=((60, 70), (50, 90), (64, 64)), bands=3, dtype=torch.uint8, kind="classes",
        missing=False, only=None,
    ):  # fmt: skip
        names = tuple("abcdefgh"[:CLASSES])
        super().__init__(Classes(names, default_palette(CLASSES)), bands, 1.0, "given")
        self.sizes, self.dtype, self.kind = sizes, dtype, kind
        self.missing, self.only = missing, only

    @property
    def outside(self):
        return float("nan") if self.kind == "values" else 255

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        height, width = self.sizes[index]
        rng = np.random.default_rng([11, index])
        patches = rng.integers(0, CLASSES, (-(-height // 20), -(-width // 20)))
        ids = np.kron(patches, np.ones((20, 20), np.int64))[:height, :width]
        if self.only is not None:
            ids[:] = self.only
        mask = torch.from_numpy(ids)
        image = ((mask + 1) * STEP).expand(self.bands, -1, -1).clone()
        missing = None
        if self.missing:
            missing = torch.zeros(height, width, dtype=torch.bool)
            missing[height // 3 : height // 2, width // 4 : width // 2] = True
            image[:, missing] = 7
        image = image.to(self.dtype)
        if self.kind == "labels":
            mask = torch.stack([mask == c for c in range(3)]).long()
        if self.kind == "values":
            mask = torch.stack([mask.float(), -mask.float()])
            mask[:, 0, 0] = float("nan")
        if missing is not None:
            mask = mask.masked_fill(missing, self.outside)
        return Sample(image, mask, f"picture {index}", missing)


def stream(pictures=None, augment=None, crop=(48, 40), seed=0, own=None, balance=None, **how):
    pictures = pictures or Coloured()
    asked, rare = read_augment(augment) or {}, ()
    if "copy_paste" in asked:
        counts = pictures.check().by_picture
        rare = rare_classes(asked["copy_paste"]["classes"], pictures.classes.names, counts)
    kinds = Kinds(asked, rare, own) if asked or own else None
    unit = {"mean": (90.0,) * pictures.bands, "std": (50.0,) * pictures.bands, "scale": 1.0}
    varied = Augmentation(**STILL | how, kinds=kinds, balance=balance)
    return TrainingStream(pictures, crop, seed, augmentation=varied, **unit)


def class_of_picture(image):
    """What a normalised picture shows, class by class."""
    return (image.mean(0) * 50 + 90) / STEP - 1


def away_from_borders(mask, by):
    """Pixels whose neighbours up to `by` are all of one class, and known."""
    known = (mask != 255).float()
    low = -torch.nn.functional.max_pool2d(-mask.float()[None], 2 * by + 1, 1, by)[0]
    high = torch.nn.functional.max_pool2d(mask.float()[None], 2 * by + 1, 1, by)[0]
    return (low == high) & (known > 0)
