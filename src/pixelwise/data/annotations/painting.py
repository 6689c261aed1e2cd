"""From shapes to class ids."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64

from pixelwise.data.annotations.shapes import Drawing, Runs
from pixelwise.errors import InputError


def paint(
    drawing: Drawing,
    height: int,
    width: int,
    ids: Mapping[str, int],
    background: int,
    *,
    by_area: bool,
) -> Int64[np.ndarray, "h w"]:
    """The mask of a picture.

    Args:
        drawing: The shapes in it.
        height: Rows of the picture; `width` likewise.
        width: Columns.
        ids: Label -> class id or ignore index.
        background: What stands outside of all shapes.
        by_area: Small shapes lie on top of large ones; else later ones on top of earlier ones.

    Raises:
        InputError: The picture is not of the size that the tool states, or a bitmap is damaged.
    """
    sizes = [drawing.size] + [
        r.size for s in drawing.shapes for r in s.regions if isinstance(r, Runs)
    ]
    for size in sizes:
        if size is not None and size != (height, width):
            turned = " turned by its EXIF entry," * (size == (width, height))
            raise InputError(
                f"{drawing.where}: states {size[0]} x {size[1]} pixels (height x width), but its"
                f" picture,{turned} has {height} x {width}; label the picture as it is shown"
            )
    mask = np.full((height, width), background, np.int64)
    shapes = list(drawing.shapes)
    if by_area:
        shapes.sort(key=lambda shape: -sum(region.area for region in shape.regions))
    for shape in shapes:
        for region in shape.regions:
            rows, columns, inside = region.covered(height, width)
            mask[rows, columns][inside] = ids[shape.label]
    return mask
