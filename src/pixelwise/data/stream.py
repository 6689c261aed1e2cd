"""The endless stream of augmented training crops.

Item g is a pure function of (seed, g): its picture is order[g % n] with order = permutation(seed,
g // n), and its augmentation is drawn from (seed, g). So the number of loader workers changes
nothing, a stopped run goes on with the very next item, and no global random state is touched.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.checks import in_range, pair
from pixelwise.data.missing import filled
from pixelwise.data.normalise import Normalise
from pixelwise.data.source import LabelledPictures
from pixelwise.errors import InputError

ENDLESS = 2**62
# Which random stream a draw belongs to, so that orders and augmentations are independent.
ORDER, AUGMENT = 0, 1

Item = tuple[Float32[Tensor, "c h w"], Shaped[Tensor, "*labels h w"], str]


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are varied.

    Args:
        scale: Smallest and largest factor of the size, drawn uniformly.
        flip: Mirror left and right in half of the items.
        flip_vertical: Mirror top and bottom in half of the items: for views from above.
        rotate: Turn by a random multiple of 90 degrees: for views from above.
        colour: Brightness, contrast and saturation are multiplied by 1 - colour .. 1 + colour;
            only in 8-bit pictures with three bands. Hue stays.
        turn: Largest angle in degrees, either way; for pictures with points.

    Raises:
        InputError: A scale that is not 0 < smallest <= largest, or a colour outside 0..1.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    flip_vertical: bool = False
    rotate: bool = False
    colour: float = 0.3
    turn: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(
                f"scale={self.scale}: must be 0 < smallest <= largest; e.g. (0.5, 2.0)"
            )
        in_range(0, 1, colour=self.colour)


@dataclass(frozen=True)
class Draw:
    """One item's random choices; the window is in pixels of the unscaled picture."""

    top: int
    left: int
    window: tuple[int, int]
    mirror: bool
    upside_down: bool
    turns: int
    colour: tuple[float, float, float]


class Order:
    """Which picture item g shows: every one of `count` once per epoch.

    Args:
        seed: Another seed, another order.
        count: Pictures.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __getitem__(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, ORDER, epoch])
            self._order, self._epoch = rng.permutation(self.count), epoch
        return int(self._order[place])


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
        self.mean, self.scale = mean, scale
        self.normalise = Normalise(mean, std, scale)
        self.augmentation = augmentation or Augmentation()
        self.order = Order(seed, len(pictures))

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, position: int) -> Item:
        sample = self.pictures[self.order[position]]
        draw = self._draw(position, *sample.mask.shape[-2:])
        image = filled(sample.image, sample.missing, self.mean, self.scale)
        image, mask = self._cut(image, sample.mask, draw)
        return image, mask, sample.name

    def _draw(self, position: int, height: int, width: int) -> Draw:
        how = self.augmentation
        rng = np.random.default_rng([self.seed, AUGMENT, position])
        factor = rng.uniform(*how.scale)
        chances = rng.uniform(0, 1, 7)
        turns = int(4 * chances[0]) if how.rotate else 0
        crop = self.crop if turns % 2 == 0 else self.crop[::-1]
        window = max(1, round(crop[0] / factor)), max(1, round(crop[1] / factor))
        red, green, blue = (1 + how.colour * (2 * chance - 1) for chance in chances[4:7])
        slack = rng.uniform(0, 1, 2)
        return Draw(
            top=_offset(slack[0], height - window[0]),
            left=_offset(slack[1], width - window[1]),
            window=window,
            mirror=bool(how.flip and chances[1] < 0.5),
            upside_down=bool(how.flip_vertical and chances[2] < 0.5),
            turns=turns,
            colour=(red, green, blue),
        )

    def _cut(
        self, image: Tensor, mask: Shaped[Tensor, "*labels h w"], draw: Draw
    ) -> tuple[Float32[Tensor, "c H W"], Shaped[Tensor, "*labels H W"]]:
        out_h, out_w = self.crop if draw.turns % 2 == 0 else self.crop[::-1]
        rows = _overlap(draw.top, draw.window[0], mask.shape[-2], out_h)
        columns = _overlap(draw.left, draw.window[1], mask.shape[-1], out_w)
        image = image[:, rows.source, columns.source]
        mask = mask[..., rows.nearest(), :][..., columns.nearest()]
        image = _resize(image, (rows.length, columns.length))
        if image.dtype == torch.uint8 and len(image) == 3 and self.augmentation.colour:
            image = recoloured(image, draw.colour)
        full = torch.zeros(len(image), out_h, out_w)
        full[:, rows.target, columns.target] = self.normalise(image)
        labels = mask.new_full((*mask.shape[:-2], out_h, out_w), self.pictures.outside)
        labels[..., rows.target, columns.target] = mask
        axes = [axis for axis, on in ((-1, draw.mirror), (-2, draw.upside_down)) if on]
        full, labels = full.flip(axes), labels.flip(axes)
        if draw.turns:
            full, labels = full.rot90(draw.turns, (-2, -1)), labels.rot90(draw.turns, (-2, -1))
        return full.contiguous(), labels.contiguous()


@dataclass(frozen=True)
class _Span:
    """Along one axis: pixels `start`..`stop` of the picture fill `target` of the crop."""

    start: int
    stop: int
    target: slice

    @property
    def source(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def length(self) -> int:
        return int(self.target.stop - self.target.start)

    def nearest(self) -> Int64[Tensor, "n"]:
        """The source pixel under the centre of each target pixel."""
        centres = (torch.arange(self.length, dtype=torch.float64) + 0.5) / self.length
        return self.start + (centres * (self.stop - self.start)).long()


def _overlap(offset: int, window: int, size: int, out: int) -> _Span:
    """The part of the window [offset, offset + window) that the picture covers."""
    start, stop = max(0, offset), min(size, offset + window)
    first = min(round((start - offset) * out / window), out - 1)
    last = max(round((stop - offset) * out / window), first + 1)
    return _Span(start, stop, slice(first, last))


def _offset(chance: float, slack: int) -> int:
    """A window's start, all equally likely: inside a larger picture, around a smaller one."""
    steps = int(chance * (abs(slack) + 1))
    return steps if slack >= 0 else -steps


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if image.shape[1:] == size:
        return image
    from torchvision.transforms.v2 import functional

    if image.dtype == torch.uint16:
        image = image.float()
    return functional.resize(image, list(size), antialias=True)


def recoloured(image: Tensor, factors: tuple[float, ...]) -> Tensor:
    """An 8-bit picture of three bands with other brightness, contrast and saturation."""
    from torchvision.transforms.v2 import functional

    brightness, contrast, saturation = factors
    image = functional.adjust_brightness(image, brightness)
    image = functional.adjust_contrast(image, contrast)
    return functional.adjust_saturation(image, saturation)
