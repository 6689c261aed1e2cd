"""Turn by any angle: where each pixel of a crop comes from.

p = pivot + R(-angle) (p' - pivot),   p' the centre of a pixel of the crop
"""

import math

import numpy as np
from jaxtyping import Float64

Places = Float64[np.ndarray, "2 H W"]
"""Row and column, in pixels, of where each pixel comes from; first centres are at 0.5."""


def centres(size: tuple[int, int]) -> Places:
    """Every pixel where it is."""
    return np.mgrid[: size[0], : size[1]] + 0.5


def turned(places: Places, degrees: float, pivot: tuple[float, float]) -> Places:
    """The places of a crop that is turned counter-clockwise around `pivot` (row, column)."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows, columns = places[0] - pivot[0], places[1] - pivot[1]
    return np.stack(
        [
            pivot[0] + cosine * rows + sine * columns,
            pivot[1] - sine * rows + cosine * columns,
        ]
    )
