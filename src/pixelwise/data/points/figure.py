"""One thing with points in one picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

MISSING, HIDDEN, SEEN = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Figure:
    """The labelled points of one thing.

    Args:
        file: Its picture.
        points: (x, y) per point, in pixels of the picture as it is shown; the centre of the first
            pixel is (0.5, 0.5). NaN where a point is missing.
        visible: 0 missing, 1 hidden but labelled, 2 seen.
        box: (left, top, width, height) of the thing in pixels; None: the whole picture.
        area: Of the thing, in square pixels, for OKS; None: not known.
        image_id: The picture's number in a COCO file; None: there is none.
        figure_id: The thing's number there.
        category_id: The number of its kind there.
    """

    file: Path
    points: Float64[ndarray, "k 2"]
    visible: UInt8[ndarray, " k"]
    box: tuple[float, float, float, float] | None = None
    area: float | None = None
    image_id: int | None = None
    figure_id: int | None = None
    category_id: int | None = None

    @property
    def labelled(self) -> np.ndarray:
        """Which points have a place."""
        return self.visible > MISSING
