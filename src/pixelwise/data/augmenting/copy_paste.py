"""Regions of rare classes out of one picture, pasted into another.

Source: Ghiasi et al., "Simple copy-paste is a strong data augmentation method for instance
segmentation", 2021, https://arxiv.org/abs/2012.07177: both pictures are scaled, flipped and cut by
themselves, the region keeps its place, and its edge is not blended.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int

from pixelwise.data.augmenting.balanced import class_of, pixel_of
from pixelwise.data.augmenting.mixing import Crop
from pixelwise.errors import InputError, unknown

Rare = Sequence[tuple[int, Int[np.ndarray, "_"]]]
"""Classes, each with the pictures that hold it."""
RARE = 0.5
"""A class is rare where it covers less than this part of an even share of the pixels."""


def pasted(
    one: Crop, other: Crop, number: int, rng: np.random.Generator, *, whole: bool = False
) -> Crop:
    """The first crop with a region of a class out of the second; as it was where there is none.

    Args:
        one: What is pasted into.
        other: What the region comes from.
        number: The class or label.
        rng: Draws a pixel of the class; its connected region is taken.
        whole: Take all pixels of the class.
    """
    here = class_of(other[1], number)
    if not here.any():
        return one
    if not whole:
        pixel = pixel_of(other[1], number, rng.uniform())
        assert pixel is not None
        here = torch.from_numpy(region(here.numpy(), pixel))
    image, mask = (part.clone() for part in one)
    image[:, here] = other[0][:, here]
    mask[..., here] = other[1][..., here]
    return image, mask


def region(inside: Bool[np.ndarray, "h w"], pixel: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels connected with one of them by sides: whole runs of rows and columns in turn."""
    runs = [_runs(inside), _runs(inside.T).T]
    found = np.zeros_like(inside)
    found[pixel] = True
    while True:
        before = np.count_nonzero(found)
        for run in runs:
            reached = np.zeros(int(run.max()) + 1, np.bool_)
            reached[run[found]] = True
            found = reached[run] & inside
        if np.count_nonzero(found) == before:
            return found


def _runs(inside: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Of each pixel, the number of its run of equal pixels in its row."""
    begins = np.ones(inside.shape, np.bool_)
    begins[:, 1:] = inside[:, 1:] != inside[:, :-1]
    return np.cumsum(begins).reshape(inside.shape) - 1


def rare_classes(
    asked: str | Sequence[str], names: Sequence[str], counts: Int[np.ndarray, "pictures k"]
) -> Rare:
    """The classes to paste, each with the pictures that hold it.

    Args:
        asked: "rare", or names.
        names: Of all classes.
        counts: Pixels per picture and class.

    Raises:
        InputError: An unknown name, a class in no picture, or no class is rare.
    """
    total = counts.sum(0)
    if isinstance(asked, str):
        present = int((total > 0).sum())
        even = total.sum() / max(present, 1)
        chosen = [i for i, count in enumerate(total) if 0 < count < RARE * even]
        if not chosen:
            raise InputError(
                "augment: copy_paste: no class is rare, all cover half an even share or more; name"
                " those to paste: classes=[...]"
            )
    else:
        chosen = [number_of_class(name, names) for name in asked]
        absent = [names[i] for i in chosen if not total[i]]
        if absent:
            raise InputError(
                f"augment: copy_paste: no training picture has a pixel of {', '.join(absent)}; "
                "leave it out, or add such pictures"
            )
    return tuple((i, np.flatnonzero(counts[:, i])) for i in chosen)


def number_of_class(name: str, names: Sequence[str]) -> int:
    """Its id; raises where there is no such class."""
    if name not in names:
        raise unknown("class", name, names, "in copy_paste")
    return names.index(name)
