"""Crops that show every class as often as asked.

A class c with share s_c is asked for in m_c of every N crops, N = 1000 or more, with

    m_c = s_c N  rounded, the sum kept,   order within the N crops: permutation(seed, block)

The r-th crop of a class shows the r-th of the pictures that hold it, all of them before any comes
again, at a pixel of the class drawn evenly from all in the picture. What the shares leave are crops
as they come. So item g stays a function of (seed, g), and the counts are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from pixelwise.data.augmenting.order import Order
from pixelwise.errors import InputError, unknown
from pixelwise.language import translate

BLOCK = 1000
"""Crops in which the shares are kept; more where there are more than a hundred classes."""
CLASS, BLOCKS = 2, 3
"""Random streams, beside those of the orders and the augmentations."""


@dataclass(frozen=True, eq=False)
class Balance:
    """What is asked for.

    Args:
        classes: Ids.
        shares: Of the crops, for each of `classes`; 1 at most in all.
        pictures: Which pictures hold it, likewise.
    """

    classes: tuple[int, ...]
    shares: tuple[float, ...]
    pictures: tuple[Int[np.ndarray, "_"], ...]

    @classmethod
    def of(
        cls,
        asked: str | Mapping[str, float],
        names: Sequence[str],
        counts: Int[np.ndarray, "pictures k"],
        where: str,
    ) -> "Balance":
        """From "auto" or shares by name, and the pixels per picture and class.

        Raises:
            InputError: A class that is asked for is in no picture.
        """
        held = counts > 0
        if isinstance(asked, str):
            found = np.flatnonzero(held.any(0)).tolist()
            shares = [1 / len(found)] * len(found)
        else:
            check_names(asked, names)
            found, shares = [names.index(name) for name in asked], [*asked.values()]
            absent = [names[i] for i in found if not held[:, i].any()]
            if absent:
                raise InputError(
                    f"balance: no picture of {where} has a pixel of {', '.join(absent)}; leave it"
                    " out, or add such pictures"
                )
        pictures = tuple(np.flatnonzero(held[:, i]) for i in found)
        return cls(tuple(found), tuple(shares), pictures)

    def line(self, names: Sequence[str]) -> str:
        """What was understood."""
        absent = [name for i, name in enumerate(names) if i not in self.classes]
        if len(set(self.shares)) == 1 and sum(self.shares) > 1 - 1e-9:
            told = translate("each of {classes} classes in {shares:.3g} % of crops").format(
                classes=len(self.classes), shares=100 * self.shares[0]
            )
            missing = (
                translate("; in no training picture: {absent}").format(absent=", ".join(absent))
                if absent
                else ""
            )
            return translate("balance {told}{missing}").format(told=told, missing=missing)
        pairs = zip(self.classes, self.shares, strict=True)
        told = ", ".join(f"{names[i]} {100 * share:.3g} %" for i, share in pairs)
        return translate(
            "balance at least {told} of crops hold it; the others as they come"
        ).format(told=told)


def check_names(asked: Mapping[str, float], names: Sequence[str]) -> None:
    """Raise for a class that does not exist."""
    for name in asked:
        if name not in names:
            raise unknown("class", name, names, "in balance")


class BalancedOrder:
    """Which picture item g shows, and the class that it has to hold; None: any.

    Args:
        seed: Another seed, another order.
        count: Pictures.
        balance: What is asked for.
    """

    def __init__(self, seed: int, count: int, balance: Balance) -> None:
        self.seed, self.balance = seed, balance
        self.block = max(BLOCK, 10 * len(balance.classes))
        self.counts = apportioned(balance.shares, self.block)
        self._ends = np.cumsum(self.counts)
        lengths = [*map(len, balance.pictures), count]
        self._orders = [Order(seed, n, (CLASS, j)) for j, n in enumerate(lengths)]
        self._number = -1
        self._block = np.empty(0, np.int64)

    def __getitem__(self, position: int) -> tuple[int, int | None]:
        number, place = divmod(position, self.block)
        if number != self._number:
            rng = np.random.default_rng([self.seed, BLOCKS, number])
            self._block, self._number = rng.permutation(self.block), number
        chosen = int(self._block[place])
        j = int(np.searchsorted(self._ends, chosen, side="right"))
        rank = number * self.counts[j] + chosen - int(self._ends[j]) + self.counts[j]
        picture = self._orders[j][rank]
        if j == len(self.balance.classes):
            return picture, None
        return int(self.balance.pictures[j][picture]), self.balance.classes[j]


def apportioned(shares: Sequence[float], block: int) -> list[int]:
    """So many of `block` crops for each share, and the rest: largest remainders are rounded up."""
    every = np.array([*shares, max(0.0, 1 - sum(shares))])
    exact = every * block
    counts = np.floor(exact + 1e-6).astype(int)
    for j in np.argsort(counts - exact, kind="stable")[: block - counts.sum()]:
        counts[j] += 1
    return [int(count) for count in counts]


def class_of(mask: Shaped[Tensor, "*labels h w"], number: int) -> Bool[Tensor, "h w"]:
    """Where a mask has a class, or a label."""
    return mask == number if mask.ndim == 2 else mask[number] == 1


def pixel_of(
    mask: Shaped[Tensor, "*labels h w"], number: int, chance: float
) -> tuple[int, int] | None:
    """(row, column) of a pixel of a class or label, all equally likely; None: there is none."""
    places = class_of(mask, number).flatten().nonzero()
    if not len(places):
        return None
    row, column = divmod(int(places[int(chance * len(places))]), mask.shape[-1])
    return row, column
