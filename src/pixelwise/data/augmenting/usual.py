"""The usual draws of an item: zoom, place, flips, turns by 90 degrees, and colours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from pixelwise.checks import in_range
from pixelwise.data.augmenting.balanced import Balance, pixel_of
from pixelwise.data.augmenting.chosen import Kinds
from pixelwise.data.augmenting.window import Span, any_offset, offset_holding
from pixelwise.errors import InputError


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
        kinds: What else is done to items; None: nothing.

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
    kinds: Kinds | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(
                f"scale={self.scale}: must be 0 < smallest <= largest; e.g. (0.5, 2.0)"
            )
        in_range(0, 1, colour=self.colour)


@dataclass(frozen=True)
class Draw:
    """One item's random choices; the window, and the pixel it has to show, are the picture's."""

    top: int
    left: int
    window: tuple[int, int]
    mirror: bool
    upside_down: bool
    turns: int
    colour: tuple[float, float, float]
    shows: tuple[int, int] | None = None


def draw_item(
    how: Augmentation,
    size: tuple[int, int],
    rng: np.random.Generator,
    mask: Shaped[Tensor, "*labels h w"],
    wanted: int | None,
) -> Draw:
    """The choices for one item.

    Args:
        how: What may be chosen.
        size: Height and width of the crop.
        rng: Of the item.
        mask: Of its picture.
        wanted: A class that the crop has to show; None: any.
    """
    factor = rng.uniform(*how.scale)
    chances = rng.uniform(0, 1, 7)
    turns = int(4 * chances[0]) if how.rotate else 0
    crop = size if turns % 2 == 0 else size[::-1]
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


def pivot(spans: tuple[Span, Span], shows: tuple[int, int] | None) -> tuple[float, float]:
    """The place in a crop that stays where it is when the crop is bent: what it has to show."""
    found = []
    for axis, span in enumerate(spans):
        at = span.length // 2
        if shows is not None:
            at = int((span.nearest() == shows[axis]).int().argmax())
        found.append(span.target.start + at + 0.5)
    return found[0], found[1]


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
            return replace(draw, top=top, left=left, window=window, shows=pixel)
    return draw


def recoloured(image: Tensor, factors: tuple[float, ...]) -> Tensor:
    """An 8-bit picture of three bands with other brightness, contrast and saturation."""
    from torchvision.transforms.v2 import functional

    brightness, contrast, saturation = factors
    image = functional.adjust_brightness(image, brightness)
    image = functional.adjust_contrast(image, contrast)
    return functional.adjust_saturation(image, saturation)
