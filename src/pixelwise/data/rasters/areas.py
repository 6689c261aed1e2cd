"""Which part of a raster belongs to which split: whole blocks of tiles, with a gap between splits.

A raster is cut into tiles of nearly the same size that cover it without a gap and do not overlap.
Tiles that lie together form blocks; blocks are shared out by chance. Of train, what lies nearer
than `gap` pixels to val or test is cut away; of val, what lies nearer to test.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.data.splitting import Shares, deal
from pixelwise.errors import InputError

BLOCKS = 10
"""So many blocks there are for the smallest split, where tiles suffice."""
LEAST = 8
"""Of a tile that is cut, what is narrower than this part of a tile is left out."""


class Window(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """How many."""
        return self.height * self.width


class Tile(NamedTuple):
    """A tile of a raster.

    Args:
        row: Of tiles, counted from 0; `column` likewise.
        column: See `row`.
        window: Its pixels.
    """

    row: int
    column: int
    window: Window


def tiles(height: int, width: int, side: int) -> list[Tile]:
    """Tiles of at most `side` pixels that cover a raster, row by row."""
    return [
        Tile(i, j, Window(top, left, bottom - top, right - left))
        for i, (top, bottom) in enumerate(_edges(height, side))
        for j, (left, right) in enumerate(_edges(width, side))
    ]


def _edges(length: int, side: int) -> list[tuple[int, int]]:
    count = -(-length // side)
    edges = [i * length // count for i in range(count + 1)]
    return [*pairwise(edges)]


def shared_out(
    rasters: Sequence[tuple[str, Sequence[Tile]]], shares: Shares, *, whole: bool = False
) -> list[dict[str, list[Window]]]:
    """Split -> windows, for each raster.

    Args:
        rasters: Their names, and the tiles of each that count.
        shares: How.
        whole: Whole rasters are shared out in place of blocks.

    Raises:
        InputError: A split would have no tile.
    """
    count = sum(len(found) for _, found in rasters)
    parts = shares.folds or 1 / min(s for s in (shares.val, shares.test, 1.0) if s > 0)
    side = 1
    if not whole:
        while _blocks(rasters, side + 1) >= BLOCKS * parts and side * side < count:
            side += 1
    sizes: dict[str, int] = {}
    groups: list[list[str]] = []
    for number, (_, found) in enumerate(rasters):
        groups.append([f"{number}" if whole else f"{number} {_block(t, side)}" for t in found])
        for group, tile in zip(groups[-1], found, strict=True):
            sizes[group] = sizes.get(group, 0) + tile.window.pixels
    of = deal(sizes, shares)
    for split in shares.splits:
        if split not in of.values():
            what, more = ("rasters", "add some") if whole else ("tiles", "lower `tile:`")
            raise InputError(
                f"split: {len(sizes)} {what} leave none for {split!r}; {more}, or name a raster for"
                f" it with `split: {split}`"
            )
    out = []
    for (_, found), named in zip(rasters, groups, strict=True):
        of_split: dict[str, list[Window]] = {}
        for tile, group in zip(found, named, strict=True):
            of_split.setdefault(of[group], []).append(tile.window)
        out.append(of_split)
    return out


def _block(tile: Tile, side: int) -> str:
    return f"{tile.row // side},{tile.column // side}"


def _blocks(rasters: Sequence[tuple[str, Sequence[Tile]]], side: int) -> int:
    return sum(len({_block(tile, side) for tile in found}) for _, found in rasters)


def kept_apart(
    windows: Mapping[str, Sequence[Window]],
    gap: int,
    side: int,
    beyond: Mapping[str, Float64[ndarray, "n 4"]],
) -> dict[str, list[Window]]:
    """The windows of each split, without what lies too near to a split that comes before.

    Args:
        windows: Split -> windows of a raster.
        gap: Pixels between train and the other splits.
        side: Of a tile.
        beyond: Split -> (top, left, bottom, right) in this raster's pixels of what other rasters
            have in that split at the same place.
    """
    found: dict[str, list[Window]] = {}
    held = np.zeros((0, 4))
    for split in ("test", "val", "train"):
        own = windows.get(split, ())
        found[split] = [
            cut for window in own if (cut := _cut(window, held, side // LEAST)) is not None
        ]
        mine = np.array([(w.top, w.left, w.top + w.height, w.left + w.width) for w in own])
        both = [mine.reshape(-1, 4).astype(np.float64), beyond.get(split, np.zeros((0, 4)))]
        around = np.array([-gap, -gap, gap, gap])
        held = np.concatenate([held, np.concatenate(both) + around])
    return {split: found[split] for split in ("train", "val", "test") if split in windows}


def _cut(window: Window, held: Float64[ndarray, "n 4"], least: int) -> Window | None:
    """The largest part of a window that meets no rectangle, one cut after another."""
    top, left = window.top, window.left
    bottom, right = top + window.height, left + window.width
    while True:
        meets = (
            (held[:, 0] < bottom) & (held[:, 2] > top) & (held[:, 1] < right) & (held[:, 3] > left)
        )
        if not meets.any():
            return Window(top, left, bottom - top, right - left)
        above, before, below, after = held[int(np.argmax(meets))]
        above, before = int(np.floor(above)), int(np.floor(before))
        below, after = int(np.ceil(below)), int(np.ceil(after))
        parts = [
            (top, left, above, right), (below, left, bottom, right),
            (top, left, bottom, before), (top, after, bottom, right),
        ]  # fmt: skip
        areas = [max(0, b - t) * max(0, r - x) for t, x, b, r in parts]
        top, left, bottom, right = parts[int(np.argmax(areas))]
        if min(bottom - top, right - left) < max(1, min(least, window.height, window.width)):
            return None
