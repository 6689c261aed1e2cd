"""The endless stream of augmented training crops.

Item g is a pure function of (seed, g): its picture is order[g % n] with order = permutation(seed,
g // n), and its augmentation is drawn from (seed, g). So the number of loader workers changes
nothing, a stopped run goes on with the very next item, and no global random state is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.checks import in_range, pair
from pixelwise.data.augmenting.balanced import Balance, BalancedOrder, pixel_of
from pixelwise.data.augmenting.order import Order
from pixelwise.data.augmenting.window import any_offset, offset_holding, overlap
from pixelwise.data.missing import filled
from pixelwise.data.normalise import Normalise
from pixelwise.data.source import LabelledPictures
from pixelwise.errors import InputError

ENDLESS = 2**62
AUGMENT = 1
"""The random stream of augmentations, independent of those of the orders."""

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
        balance: How often each class is asked for; None: pictures as they come.

    Raises:
        InputError: A scale that is not 0 < smallest <= largest, or a colour outside 0..1.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    flip_vertical: bool = False
    rotate: bool = False
    colour: float = 0.3
    turn: float = 0.0
    balance: Balance | None = None

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
        balance = self.augmentation.balance
        self.balanced: BalancedOrder | None = None
        if balance is not None:
            self.balanced = BalancedOrder(seed, len(pictures), balance)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, position: int) -> Item:
        index, wanted = self.order[position], None
        if self.balanced is not None:
            index, wanted = self.balanced[position]
        sample = self.pictures[index]
        draw = self._draw(position, sample.mask, wanted)
        image = filled(sample.image, sample.missing, self.mean, self.scale)
        image, mask = self._cut(image, sample.mask, draw)
        return image, mask, sample.name

    def _draw(self, position: int, mask: Shaped[Tensor, "*labels h w"], wanted: int | None) -> Draw:
        how = self.augmentation
        rng = np.random.default_rng([self.seed, AUGMENT, position])
        factor = rng.uniform(*how.scale)
        chances = rng.uniform(0, 1, 7)
        turns = int(4 * chances[0]) if how.rotate else 0
        crop = self.crop if turns % 2 == 0 else self.crop[::-1]
        window = max(1, round(crop[0] / factor)), max(1, round(crop[1] / factor))
        red, green, blue = (1 + how.colour * (2 * chance - 1) for chance in chances[4:7])
        slack = rng.uniform(0, 1, 2).tolist()
        height, width = mask.shape[-2:]
        draw = Draw(
            top=any_offset(slack[0], height - window[0]),
            left=any_offset(slack[1], width - window[1]),
            window=window,
            mirror=bool(how.flip and chances[1] < 0.5),
            upside_down=bool(how.flip_vertical and chances[2] < 0.5),
            turns=turns,
            colour=(red, green, blue),
        )
        if wanted is None or (pixel := pixel_of(mask, wanted, rng.uniform())) is None:
            return draw
        return _holding(draw, pixel, slack, (height, width), crop)

    def _cut(
        self, image: Tensor, mask: Shaped[Tensor, "*labels h w"], draw: Draw
    ) -> tuple[Float32[Tensor, "c H W"], Shaped[Tensor, "*labels H W"]]:
        out_h, out_w = self.crop if draw.turns % 2 == 0 else self.crop[::-1]
        rows = overlap(draw.top, draw.window[0], mask.shape[-2], out_h)
        columns = overlap(draw.left, draw.window[1], mask.shape[-1], out_w)
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


def _holding(
    draw: Draw,
    pixel: tuple[int, int],
    slack: Sequence[float],
    size: tuple[int, int],
    crop: tuple[int, int],
) -> Draw:
    """The draw with a window that shows the pixel; unscaled where scaling would lose it."""
    for window in (draw.window, crop):
        top, left = (
            offset_holding(pixel[axis], slack[axis], window[axis], size[axis], crop[axis])
            for axis in (0, 1)
        )
        if top is not None and left is not None:
            return replace(draw, top=top, left=left, window=window)
    return draw


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
