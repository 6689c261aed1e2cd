"""Hide boxes of a crop; what nobody can see does not count in the loss.

Source: DeVries & Taylor, "Improved regularization of convolutional neural networks with cutout",
2017, https://arxiv.org/abs/1708.04552, where pictures have one label each, which stays.
"""

import numpy as np


def boxes(
    size: tuple[int, int], count: int, largest: float, rng: np.random.Generator
) -> list[tuple[slice, slice]]:
    """1 to `count` boxes (rows, columns) inside, of sides up to `largest` times those of the crop.

    None is narrower than a third of that.
    """
    found = []
    for _ in range(int(rng.integers(1, count + 1))):
        sides = [max(1, round(side * largest * rng.uniform(1 / 3, 1))) for side in size]
        starts = [int(rng.integers(side - box + 1)) for side, box in zip(size, sides, strict=True)]
        rows, columns = (
            slice(start, start + box) for start, box in zip(starts, sides, strict=True)
        )
        found.append((rows, columns))
    return found
