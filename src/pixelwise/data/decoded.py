"""What a picture file holds, before anyone has said which of it counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Decoded:
    """The numbers of a file.

    Args:
        samples: (n, h, w): bands and transparency in the file's order.
        alpha: Which of `samples` is transparency; None: none is.
        empty: Where the file itself says that there is no data.
        nodata: The number that the file says stands for "no data".
    """

    samples: NDArray[Any]
    alpha: int | None = None
    empty: NDArray[np.bool_] | None = None
    nodata: float | None = None


@dataclass(frozen=True)
class Header:
    """What a picture file says about itself before any pixel is decoded.

    Args:
        height: Rows, after any rotation that the file asks for; `width` likewise.
        width: Columns.
        bands: Bands, transparency not counted.
        dtype: The type of the values in the file, as numpy names it.
    """

    height: int
    width: int
    bands: int
    dtype: str

    @property
    def scale(self) -> float:
        """The raw value that means 1.0: 255 or 65535 by type, else 1."""
        return WHITES.get(self.dtype, 1.0)


WHITES = {"uint8": 255.0, "uint16": 65535.0}
"""The types that say which value is white."""


def stretched(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Values of 2, 4, 10, 12 or 14 bits spread over the whole range of their type."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind != "u" or values.dtype.itemsize > 2 or bits == 8 * values.dtype.itemsize:
        return values
    full = np.iinfo(values.dtype).max
    return (values.astype(np.uint64) * full // (2**bits - 1)).astype(values.dtype)
