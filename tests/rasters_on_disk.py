"""What tests of rasters share: a place on Earth, rectangles, and the labels of a whole raster."""

import numpy as np
from affine import Affine

STRAIGHT = Affine(0.5, 0, 500000, 0, -0.5, 20000)


def box(left, top, right, bottom):
    """The ring of a rectangle."""
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def whole(source):
    """The labels of all tiles of a source, each at its place; -1 where no tile lies."""
    found = None
    for split in source.splits:
        pictures = source.split(split)
        for i, (number, window) in enumerate(pictures.windows):
            assert number == 0
            sample = pictures[i]
            if found is None:
                grid = pictures.rasters[0].grid
                shape = (*sample.mask.shape[:-2], grid.height, grid.width)
                found = np.full(shape, -1, sample.mask.numpy().dtype)
            top, left, height, width = window
            place = (..., slice(top, top + height), slice(left, left + width))
            assert (found[place] == -1).all()
            found[place] = sample.mask.numpy()
    return found
