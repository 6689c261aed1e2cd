"""The kinds that vary a stream's items, and how they are put to work.

A crop is bent (turn, elastic), then its values are changed (blur, noise, jpeg, own), then it is
mixed with others (copy_paste, mosaic, cutmix, mixup), and at last parts are hidden (cut_out).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Num, Shaped
from torch import Tensor

from pixelwise.data.augmenting import copy_paste, cutmix, mixup, mosaic
from pixelwise.data.augmenting.asked import Asked
from pixelwise.data.augmenting.blur import blurred
from pixelwise.data.augmenting.cut_out import boxes
from pixelwise.data.augmenting.elastic import displacements
from pixelwise.data.augmenting.jpeg import compressed
from pixelwise.data.augmenting.kinds import EXACT, KINDS, OWN
from pixelwise.data.augmenting.mixing import Crop
from pixelwise.data.augmenting.noise import noisy
from pixelwise.data.augmenting.own import Own
from pixelwise.data.augmenting.seeds import Seeds
from pixelwise.data.augmenting.turning import Places, centres, turned
from pixelwise.data.classes import Classes
from pixelwise.errors import InputError

BEST = 95
"""The best quality of JPEG: above, files only grow."""
Partner = Callable[[str, int, np.random.Generator, int | None], Crop]
"""(kind, which of its partners, its draws, a class that has to be there) -> another item."""


@runtime_checkable
class Named(Protocol):
    """A data set, as far as it matters here."""

    classes: Classes


@dataclass(frozen=True, eq=False)
class Kinds:
    """What is asked for.

    Args:
        asked: As `read_augment` gives it.
        rare: For copy_paste: classes, each with the pictures that hold it.
        own: The user's own function.
    """

    asked: Asked
    rare: copy_paste.Rare = ()
    own: Own | None = None

    def __post_init__(self) -> None:
        if self.own is None and OWN in self.asked:
            object.__setattr__(self, "own", Own(self.asked[OWN]["call"]))

    def line(self, names: Sequence[str]) -> str:
        """What was understood."""
        told = []
        for name, options in self.asked.items():
            if name == OWN:
                told.append(f"own function {options['call']}")
            elif options["chance"] == 1:
                told.append(f"{name} (all crops)")
            else:
                told.append(f"{name} ({100 * options['chance']:.3g} %)")
        pasted = [names[number] for number, _ in self.rare]
        return f"varied  {', '.join(told)}{'; pasted: ' if pasted else ''}{', '.join(pasted)}"

    def try_out(self, stream: Any) -> None:
        """Raise where the user's own function fails, or is no function of its random numbers."""
        if self.own is None:
            return
        (image, mask, _), (again, mask_again, _) = stream[0], stream[0]
        if not torch.equal(image, again) or not torch.equal(_known(mask), _known(mask_again)):
            raise InputError(
                f"{self.own.name}: gives another result for the same random numbers, so that no run"
                " could go on as it was; draw all of them from rng"
            )

    def drawn(self, name: str, seeds: Seeds) -> tuple[dict[str, Any], np.random.Generator] | None:
        """Options and draws of a kind where this item is one that it varies; else None."""
        if name not in self.asked:
            return None
        options, rng = self.asked[name], seeds.kind(name)
        return (options, rng) if rng.uniform() < options["chance"] else None

    def places(
        self, size: tuple[int, int], pivot: tuple[float, float], seeds: Seeds
    ) -> Places | None:
        """Where the pixels of a crop come from; `pivot` (row, column) stays. None: all stay."""
        turn, elastic = self.drawn("turn", seeds), self.drawn("elastic", seeds)
        if turn is None and elastic is None:
            return None
        found = centres(size)
        if turn is not None:
            found = turned(found, angle(*turn), pivot)
        if elastic is not None:
            options, rng = elastic
            moved = displacements(size, options["strength"], options["spacing"], rng)
            still = moved[:, int(pivot[0]), int(pivot[1])]
            found = found + moved - still[:, None, None]
        return found

    def changed(
        self,
        image: Num[Tensor, "c h w"],
        missing: Bool[Tensor, "h w"] | None,
        deviations: Sequence[float],
        seeds: Seeds,
    ) -> Shaped[Tensor, "c h w"]:
        """A picture of raw values, blurred, noisy and compressed; its pixels stay in their places.

        Args:
            image: Raw values.
            missing: Pixels without data; None: there is none.
            deviations: The standard deviation of each band, in raw values.
            seeds: Of the item.
        """
        if (drawn := self.drawn("blur", seeds)) is not None:
            options, rng = drawn
            image = blurred(image, options["sigma"] * rng.uniform(0.1, 1), missing)
        if (drawn := self.drawn("noise", seeds)) is not None:
            options, rng = drawn
            strength = options["strength"] * rng.uniform()
            image = noisy(image, [strength * one for one in deviations], rng)
        if (drawn := self.drawn("jpeg", seeds)) is not None:
            options, rng = drawn
            image = compressed(image, int(rng.integers(options["quality"], BEST + 1)))
        return image

    def mixed(self, crop: Crop, seeds: Seeds, partner: Partner) -> Crop:
        """An item with parts of others in it."""
        if (drawn := self.drawn("copy_paste", seeds)) is not None:
            options, rng = drawn
            number = self.rare[int(rng.integers(len(self.rare)))][0]
            other = partner("copy_paste", 0, rng, number)
            crop = copy_paste.pasted(crop, other, number, rng, whole=bool(options["whole"]))
        if (drawn := self.drawn("mosaic", seeds)) is not None:
            _, rng = drawn
            others = [partner("mosaic", i, rng, None) for i in range(3)]
            crop = mosaic.tiled([crop, *others], rng)
        if (drawn := self.drawn("cutmix", seeds)) is not None:
            _, rng = drawn
            crop = cutmix.boxed(crop, partner("cutmix", 0, rng, None), rng)
        if (drawn := self.drawn("mixup", seeds)) is not None:
            options, rng = drawn
            crop = mixup.mixed(crop, partner("mixup", 0, rng, None), options["alpha"], rng)
        return crop

    def hidden(self, image: Num[Tensor, "c h w"], seeds: Seeds) -> list[tuple[slice, slice]]:
        """Boxes of a normalised picture that are hidden, and set to 0 here."""
        if (drawn := self.drawn("cut_out", seeds)) is None:
            return []
        options, rng = drawn
        height, width = image.shape[1:]
        found = boxes((height, width), options["count"], options["size"], rng)
        for rows, columns in found:
            image[:, rows, columns] = 0.0
        return found


def check_kinds(asked: Mapping[str, Any], holds: str, source: Named) -> None:
    """Raise for a kind that does not suit what a data set holds, or a class that it lacks.

    Args:
        asked: As `read_augment` gives it.
        holds: "classes", "labels", "values" or "points".
        source: The data set.
    """
    for name, options in asked.items():
        if holds == "points" and name not in EXACT:
            raise InputError(
                f"augment: {name} does not move points exactly; for points take {', '.join(EXACT)}"
            )
        if holds == "values" and name != OWN and not KINDS[name].values:
            raise InputError(
                f"augment: {name} is for classes and labels, the masks hold values; leave it out"
            )
        if name == "copy_paste" and not isinstance(options["classes"], str):
            for one in options["classes"]:
                copy_paste.number_of_class(one, source.classes.names)


def _known(values: Tensor) -> Tensor:
    """Values that are equal to themselves: NaN is not."""
    return torch.nan_to_num(values, nan=-1.0) if values.is_floating_point() else values


def angle(options: dict[str, Any], rng: np.random.Generator) -> float:
    """Degrees to turn by, evenly drawn either way."""
    return float(options["angle"] * rng.uniform(-1, 1))
