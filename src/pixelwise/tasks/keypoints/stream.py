"""Figures for training and for evaluation, as the network sees them.

As in `data.stream`, training item g is a pure function of (seed, g).
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.augmenting.chosen import Kinds
from pixelwise.data.augmenting.chosen import angle as angle_of
from pixelwise.data.augmenting.order import Order
from pixelwise.data.augmenting.seeds import Seeds
from pixelwise.data.evaluation import Preparation
from pixelwise.data.missing import filled
from pixelwise.data.normalise import Normalise
from pixelwise.data.points.source import LabelledFigures
from pixelwise.data.stream import ENDLESS, Augmentation, recoloured
from pixelwise.tasks.keypoints.crops import PointTarget, in_crop, view, whole

Item = tuple[Float32[Tensor, "c h w"], Float64[Tensor, "k 3"], str]


class PointStream(Dataset[Item]):
    """Items (crop (c, h, w) normalised, points (k, 3): x, y, visible; name) without end.

    Points outside of the crop are missing. Beside the box's own margin, its zoom, place and angle
    vary; mirrored figures swap left and right.

    Args:
        figures: What to draw from.
        crop: (height, width) of every item.
        seed: Another seed, another order and other augmentations.
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.
        augmentation: How items are varied; `flip` where left and right are known.
        margin: Around boxes.
    """

    def __init__(
        self,
        figures: LabelledFigures,
        crop: tuple[int, int],
        seed: int,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        augmentation: Augmentation,
        margin: float,
    ) -> None:
        self.figures, self.crop, self.seed = figures, crop, seed
        self.mean, self.std, self.scale, self.margin = mean, std, scale, margin
        self.normalise = Normalise(mean, std, scale)
        self.augmentation = augmentation
        self.order = Order(seed, len(figures))

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, position: int) -> Item:
        sample, how = self.figures[self.order[position]], self.augmentation
        seeds = Seeds(self.seed, position)
        rng = seeds.usual()
        zoom = float(np.exp(rng.uniform(*np.log(how.scale))))
        turn, chance, *shift = rng.uniform(0, 1, 4)
        colour = tuple(1 + how.colour * (2 * rng.uniform() - 1) for _ in range(3))
        quarter = 90 * int(4 * rng.uniform()) if how.rotate else 0
        angle = quarter + how.turn * (2 * turn - 1)
        if how.kinds is not None and "turn" in how.kinds.asked:
            drawn = how.kinds.drawn("turn", seeds)
            angle = quarter + (0.0 if drawn is None else angle_of(*drawn))
        mirror = bool(how.flip and chance < 0.5)

        image = filled(sample.image, sample.missing, self.mean, self.scale)
        if image.dtype == torch.uint8 and len(image) == 3 and how.colour:
            image = recoloured(image, colour)
        left, top, width, height = sample.box.tolist()
        margin = self.margin if (left, top, width, height) != whole(image.shape[-2:]) else 1.0
        # A box that is smaller is shown larger; its centre moves by up to a tenth of it.
        wide, high = width * margin / zoom, height * margin / zoom
        x = left + width / 2 + 0.2 * (shift[0] - 0.5) * width
        y = top + height / 2 + 0.2 * (shift[1] - 0.5) * height
        box = (x - wide / 2, y - high / 2, wide, high)
        crop, matrix = view(
            self.normalise(image), box, self.crop, 1.0, rotation=angle, mirror=mirror
        )
        if how.kinds is not None:
            crop = self._varied(crop, image.dtype, how.kinds, seeds)
        points, inside = in_crop(sample.points.numpy(), matrix, self.crop)
        visible = np.where(inside, sample.visible.numpy(), 0)
        placed = np.column_stack([np.where(visible[:, None] > 0, points, 0.0), visible])
        if mirror:
            placed = placed[list(self.figures.skeleton.mirrored())]
        return crop, torch.from_numpy(placed), sample.name

    def _varied(
        self, crop: Float32[Tensor, "c h w"], dtype: torch.dtype, kinds: Kinds, seeds: Seeds
    ) -> Float32[Tensor, "c h w"]:
        """The crop with other values; boxes that are hidden leave the points in them to guess."""
        raw = self.normalise.undone(crop)
        if dtype == torch.uint8:
            raw = raw.round().clamp(0, 255).byte()
        crop = self.normalise(
            kinds.changed(raw, None, [self.scale * std for std in self.std], seeds)
        )
        kinds.hidden(crop, seeds)
        return crop


class PointEvaluationSet(Dataset[Any]):
    """Item i: (crop normalised, packed `PointTarget`, name, pixels without data).

    Args:
        figures: What to evaluate on.
        size: (height, width) of the crops.
        prepare: From a sample to what the network takes.
        margin: Around boxes.
    """

    def __init__(
        self,
        figures: LabelledFigures,
        size: tuple[int, int],
        prepare: Preparation,
        *,
        margin: float,
    ) -> None:
        self.figures, self.size, self.margin = figures, size, margin
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.figures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str, int]:
        sample = self.figures[index]
        image, missing = self.prepare(sample)
        left, top, width, height = sample.box.tolist()
        box = (left, top, width, height)
        crop, matrix = view(image, box, self.size, self.margin)
        area = float("nan") if sample.area is None else sample.area
        target = PointTarget(sample.points, sample.visible.double(), matrix, area, box)
        return crop, target.packed(), sample.name, missing
