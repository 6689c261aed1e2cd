"""How far a pixel looks: the radius around it that holds a share of a map's weight."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pixelwise.explanation.placing import Area

SHARES = (0.5, 0.9)


def radii(
    weights: Float[ndarray, "h w"], at: tuple[int, int], covers: Area
) -> tuple[float | None, ...]:
    """For each of `SHARES` the radius in picture pixels; None where there is no weight at all.

    A cell counts at its centre, by the size of its weight, whatever its sign.

    Args:
        weights: Of the cells.
        at: The asked pixel (row, column) of the picture.
        covers: Rows and columns of the picture that the map lies on.
    """
    rows, columns = (
        (np.arange(count) + 0.5) * area / count - (place + 0.5)
        for count, area, place in zip(weights.shape, covers, at, strict=True)
    )
    distances = np.hypot(rows[:, None], columns[None]).ravel()
    order = distances.argsort()
    sums = np.abs(weights).ravel().astype(np.float64)[order].cumsum()
    if not 0 < sums[-1] < np.inf:
        return (None,) * len(SHARES)
    last = len(order) - 1
    return tuple(
        float(distances[order[min(int(sums.searchsorted(share * sums[-1])), last)]])
        for share in SHARES
    )
