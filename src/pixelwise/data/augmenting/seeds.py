"""The random numbers of one item: every kind has a stream of its own.

So asking for one more kind changes no draw of the others, and the item of another position, which
is mixed into this one, is drawn apart from the one that will be shown there.
"""

from dataclasses import dataclass

import numpy as np

from pixelwise.data.augmenting.kinds import number_of

AUGMENT, KIND, PARTNER, PARTNER_KIND = 1, 4, 5, 6
"""Random streams, beside those of the orders: the usual draws of an item, those of a kind, and the
same of items that are mixed into others."""


@dataclass(frozen=True)
class Seeds:
    """Of one item.

    Args:
        seed: Of the run.
        position: Of the item in the stream.
        partner: Which kind mixes it into the item at that position, and as which of its partners.
    """

    seed: int
    position: int
    partner: tuple[int, int] | None = None

    def usual(self) -> np.random.Generator:
        """Zoom, place, flips and colours."""
        if self.partner is None:
            return np.random.default_rng([self.seed, AUGMENT, self.position])
        return np.random.default_rng([self.seed, PARTNER, *self.partner, self.position])

    def kind(self, name: str) -> np.random.Generator:
        """The draws of a kind."""
        number = number_of(name)
        if self.partner is None:
            return np.random.default_rng([self.seed, KIND, number, self.position])
        return np.random.default_rng(
            [self.seed, PARTNER_KIND, *self.partner, number, self.position]
        )

    def partner_of(self, name: str, number: int) -> "Seeds":
        """Those of the `number`-th item that a kind mixes in."""
        return Seeds(self.seed, self.position, (number_of(name), number))
