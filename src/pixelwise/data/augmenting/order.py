"""In which order pictures come."""

import numpy as np

ORDER = 0
"""The random stream of the usual order."""


class Order:
    """Which picture item g shows: every one of `count` once per epoch.

    Args:
        seed: Another seed, another order.
        count: Pictures.
        stream: The random stream, so that several orders are independent.
    """

    def __init__(self, seed: int, count: int, stream: tuple[int, ...] = (ORDER,)) -> None:
        self.seed, self.count, self.stream = seed, count, stream
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __getitem__(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, *self.stream, epoch])
            self._order, self._epoch = rng.permutation(self.count), epoch
        return int(self._order[place])
