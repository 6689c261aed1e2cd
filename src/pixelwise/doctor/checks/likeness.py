"""Pictures that show the same: saved anew, resized, brighter, mirrored, turned or cropped.

Small grey copies are compared without their slow changes, which light and sky have in common.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

ALIKE = 0.8
"""Correlation from which pictures are one; those of real sets that differ stay below 0.55."""
SIDE = 32
COARSE = 16
"""Rows and columns of what is compared, and of what crops are looked for in."""
ROWS = 512
MOST = 2000
"""So many pictures are also compared after turns and crops."""
PROMISING = 0.68
"""Correlation of coarse copies from which a crop is looked at."""
TRIES = 80
"""So many crops are looked at, those across splits first."""
STEPS = (0.04, 0.02, 0.01, 0.005)
"""By how much the sides of a crop are moved, as shares of the picture."""

Box = tuple[float, float, float, float]
BOXES: tuple[Box, ...] = tuple(
    (down := (1 - size) * a, right := (1 - size) * b, down + size, right + size)
    for size, places in ((0.95, (0.5,)), (0.9, (0.0, 0.5, 1.0)), (0.8, (0.0, 0.5, 1.0)))
    for a in places
    for b in places
)
"""Crops to begin with: the first column, the first row, and where they end."""
Rows = Float32[np.ndarray, "n d"]


def alike_pairs(
    thumbs: Sequence[UInt8[np.ndarray, "t t"]], splits: Sequence[str]
) -> dict[tuple[int, int], float]:
    """(i, j) with i < j -> correlation, of pictures that look the same.

    Args:
        thumbs: Small grey copies.
        splits: The split of each.
    """
    if len(thumbs) < 2:
        return {}
    images = [Image.fromarray(thumb) for thumb in thumbs]
    whole: Box = (0.0, 0.0, 1.0, 1.0)
    details = detail(np.stack([_cut(image, whole, SIDE) for image in images]))
    found = _turned(details)
    if len(thumbs) <= MOST:
        found = {**_cropped(images, details, found, splits), **found}
    return found


def detail(values: Float32[np.ndarray, "n s s"]) -> Rows:
    """Small copies without their slow changes, of length 1; nothing where they are flat."""
    side = values.shape[-1]
    padded = np.pad(values, ((0, 0), (2, 2), (2, 2)), mode="edge")
    mean = sum(padded[:, i : i + side, j : j + side] for i in range(5) for j in range(5)) / 25
    rest = (values - mean).reshape(len(values), -1)
    length = np.linalg.norm(rest, axis=1, keepdims=True)
    # A deviation of one grey level is noise.
    return np.where(length < side, 0, rest / np.maximum(length, 1e-6)).astype(np.float32)


def _cut(image: Image.Image, box: Box, side: int) -> Float32[np.ndarray, "s s"]:
    left, top, right, bottom = (share * image.width for share in box)
    kind = Image.Resampling.BOX if side == COARSE else Image.Resampling.BILINEAR
    return np.asarray(image.resize((side, side), kind, box=(left, top, right, bottom)), np.float32)


def _turned(details: Rows) -> dict[tuple[int, int], float]:
    """Pairs as they are, and after mirrors and turns."""
    square = details.reshape(-1, SIDE, SIDE)
    ways = [square, square[:, :, ::-1]]
    if len(details) <= MOST:
        ways += [square[:, ::-1], square[:, ::-1, ::-1]]
        ways += [way.transpose(0, 2, 1) for way in ways]
    found: dict[tuple[int, int], float] = {}
    for way in ways:
        changed = way.reshape(len(details), -1)
        for start in range(0, len(details), ROWS):
            product = changed[start : start + ROWS] @ details[start:].T
            for i, j in zip(*np.nonzero(product >= ALIKE), strict=True):
                if j > i:
                    pair = int(start + i), int(start + j)
                    found[pair] = max(found.get(pair, 0.0), float(product[i, j]))
    return found


def _cropped(
    images: Sequence[Image.Image],
    details: Rows,
    known: dict[tuple[int, int], float],
    splits: Sequence[str],
) -> dict[tuple[int, int], float]:
    """Pairs of which one is a part of the other."""
    coarse = detail(np.stack([_cut(image, (0.0, 0.0, 1.0, 1.0), COARSE) for image in images]))
    best = np.full((len(images), len(images)), -1, np.float32)
    which = np.zeros(best.shape, np.int8)
    for number, box in enumerate(BOXES):
        product = detail(np.stack([_cut(image, box, COARSE) for image in images])) @ coarse.T
        better = product > best
        best[better], which[better] = product[better], number
    np.fill_diagonal(best, -1)
    places = np.argwhere(best >= PROMISING)
    order = np.argsort(
        [(splits[i] == splits[j]) * 2 - best[i, j] for i, j in places], kind="stable"
    )
    found: dict[tuple[int, int], float] = {}
    tries = 0
    for i, j in places[order].tolist():
        pair = min(i, j), max(i, j)
        if pair in known or pair in found:
            continue
        tries += 1
        if tries > TRIES:
            break
        score = _fitted(images[i], details[j], BOXES[which[i, j]])
        if score >= ALIKE:
            found[pair] = score
    return found


def _fitted(image: Image.Image, wanted: Float32[np.ndarray, " d"], box: Box) -> float:
    """How well a part of a picture fits, its sides moved as long as that helps."""

    def score(sides: Sequence[float]) -> float:
        left, top, right, bottom = sides
        if min(sides) < 0 or max(sides) > 1:
            return -1.0
        return float(detail(_cut(image, (left, top, right, bottom), SIDE)[None])[0] @ wanted)

    best, sides = score(box), [*box]
    for step in STEPS:
        better = True
        while better and best < ALIKE:
            better = False
            for side in range(4):
                for change in (-step, step):
                    moved = [*sides]
                    moved[side] += change
                    value = score(moved)
                    if value > best:
                        best, sides, better = value, moved, True
    return best
