"""The endless stream of augmented training crops.

Item g is a pure function of (seed, g): its picture is order[g % n] with order = permutation(seed,
g // n), and its augmentation is drawn from (seed, g). So the number of loader workers changes
nothing, a stopped run goes on with the very next item, and no global random state is touched.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.checks import pair
from pixelwise.data.augmenting.balanced import BalancedOrder
from pixelwise.data.augmenting.mixing import Crop
from pixelwise.data.augmenting.order import Order
from pixelwise.data.augmenting.own import About, Own, by_own
from pixelwise.data.augmenting.seeds import Seeds
from pixelwise.data.augmenting.seen import Seen, straight, warped
from pixelwise.data.augmenting.usual import Augmentation as Augmentation
from pixelwise.data.augmenting.usual import Draw, draw_item, pivot
from pixelwise.data.augmenting.usual import recoloured as recoloured
from pixelwise.data.augmenting.window import overlap
from pixelwise.data.missing import filled
from pixelwise.data.normalise import Normalise
from pixelwise.data.source import LabelledPictures, Sample

ENDLESS = 2**62
Item = tuple[Float32[Tensor, "c h w"], Shaped[Tensor, "*labels h w"], str]


class TrainingStream(Dataset[Item]):
    """Items (image (c, h, w) normalised, mask (..., h, w), name) for g = 0, 1, 2, ... without end.

    Where the picture is smaller than the crop, the image is filled up with the mean (0 after
    normalisation) and the mask with what means "not known".

    Args:
        pictures: What to draw from.
        crop: (height, width) of every item, pixels.
        seed: Another seed, another order and other augmentations.
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.
        augmentation: How items are varied.
    """

    def __init__(
        self,
        pictures: LabelledPictures,
        crop: tuple[int, int],
        seed: int,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        augmentation: Augmentation | None = None,
    ) -> None:
        pair(1, crop=crop)
        self.pictures = pictures
        self.crop = crop
        self.seed = seed
        self.mean, self.std, self.scale = mean, std, scale
        self.normalise = Normalise(mean, std, scale)
        self.augmentation = augmentation or Augmentation()
        self.order = Order(seed, len(pictures))
        balance = self.augmentation.balance
        self.balanced: BalancedOrder | None = None
        if balance is not None:
            self.balanced = BalancedOrder(seed, len(pictures), balance)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, position: int) -> Item:
        seeds, kinds = Seeds(self.seed, position), self.augmentation.kinds
        crop, name = self._item(seeds, *self._chosen(position))
        if kinds is not None:
            crop = kinds.mixed(crop, seeds, partial(self._partner, seeds))
            for rows, columns in kinds.hidden(crop[0], seeds):
                crop[1][..., rows, columns] = self.pictures.outside
        return *crop, name

    def _chosen(self, position: int) -> tuple[int, int | None]:
        """A picture, and the class that has to be seen."""
        if self.balanced is not None:
            return self.balanced[position]
        return self.order[position], None

    def _partner(
        self, seeds: Seeds, kind: str, number: int, rng: np.random.Generator, wanted: int | None
    ) -> Crop:
        """Another item, to be mixed into that of `seeds`; from nearby, where orders are known."""
        if wanted is None:
            near = len(self.pictures) if self.balanced is None else self.balanced.block
            begin = seeds.position - seeds.position % near
            index, wanted = self._chosen(begin + int(rng.integers(near)))
        else:
            assert self.augmentation.kinds is not None
            held = dict(self.augmentation.kinds.rare)[wanted]
            index = int(held[int(rng.integers(len(held)))])
        return self._item(seeds.partner_of(kind, number), index, wanted)[0]

    def _item(self, seeds: Seeds, index: int, wanted: int | None) -> tuple[Crop, str]:
        """A crop of a picture, not mixed yet, and the picture's name."""
        sample = self.pictures[index]
        draw = draw_item(self.augmentation, self.crop, seeds.usual(), sample.mask, wanted)
        turned = draw.turns % 2 == 1
        size = self.crop[::-1] if turned else self.crop
        image, mask = self._whole(self._see(sample, draw, size, seeds), size, seeds)
        axes = [axis for axis, on in ((-1, draw.mirror), (-2, draw.upside_down)) if on]
        image, mask = image.flip(axes), mask.flip(axes)
        if draw.turns:
            image, mask = image.rot90(draw.turns, (-2, -1)), mask.rot90(draw.turns, (-2, -1))
        return (image.contiguous(), mask.contiguous()), sample.name

    def _see(self, sample: Sample, draw: Draw, size: tuple[int, int], seeds: Seeds) -> Seen:
        """What the crop shows of the picture, in raw values of other colours."""
        how, mask = self.augmentation, sample.mask
        image = filled(sample.image, sample.missing, self.mean, self.scale)
        spans = (
            overlap(draw.top, draw.window[0], mask.shape[-2], size[0]),
            overlap(draw.left, draw.window[1], mask.shape[-1], size[1]),
        )
        places = None
        if how.kinds is not None:
            places = how.kinds.places(size, pivot(spans, draw.shows), seeds)
        if places is None:
            seen = straight(image, mask, sample.missing if how.kinds else None, spans)
        else:
            outside = self.pictures.outside
            seen = warped(image, mask, sample.missing, spans, places, outside)
        image = seen.image
        if image.dtype == torch.uint8 and len(image) == 3 and how.colour:
            image = recoloured(image, draw.colour)
        if how.kinds is not None:
            deviations = [self.scale * std for std in self.std]
            image = how.kinds.changed(image, seen.missing, deviations, seeds)
        return replace(seen, image=image)

    def _whole(self, seen: Seen, size: tuple[int, int], seeds: Seeds) -> Crop:
        """The crop, normalised, with the mean and "not known" around what is seen."""
        kinds, outside = self.augmentation.kinds, self.pictures.outside
        image = torch.zeros(len(seen.image), *size)
        mask = seen.mask.new_full((*seen.mask.shape[:-2], *size), outside)
        mask[..., seen.rows, seen.columns] = seen.mask
        if kinds is not None and kinds.own is not None:
            return self._by_own(kinds.own, seen, mask, seeds)
        normalised = self.normalise(seen.image)
        if seen.missing is not None:
            normalised = normalised.masked_fill(seen.missing, 0.0)
        image[:, seen.rows, seen.columns] = normalised
        return image, mask

    def _by_own(self, own: Own, seen: Seen, mask: Tensor, seeds: Seeds) -> Crop:
        """The crop as the user's own function makes it out of raw values."""
        means = torch.tensor(self.mean)[:, None, None] * self.scale
        raw = means.expand(-1, *mask.shape[-2:]).clone()
        values = seen.image.float()
        if seen.missing is not None:
            values = torch.where(seen.missing, means, values)
        raw[:, seen.rows, seen.columns] = values
        highest = 1 if mask.ndim == 3 else len(self.pictures.classes) - 1
        ignored = self.pictures.classes.ignore_index
        about = About(seen.image.dtype == torch.uint8, self.scale, highest, ignored)
        varied, labels = by_own(own, raw, mask, about, seeds.kind("own"))
        return self.normalise(varied), labels
