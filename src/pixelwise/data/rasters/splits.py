"""Which tiles of rasters train, validate and test, and what is left out between them."""

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.data.config import SPLITS
from pixelwise.data.rasters.areas import Window, kept_apart, shared_out
from pixelwise.data.rasters.config import RastersConfig
from pixelwise.data.rasters.grid import Grid
from pixelwise.data.rasters.labelled import LabelledRaster
from pixelwise.errors import InputError

Windows = dict[str, tuple[tuple[int, Window], ...]]


def windows_of(
    config: RastersConfig, rasters: tuple[LabelledRaster, ...]
) -> tuple[Windows, tuple[str, ...]]:
    """The windows of each split, and lines about them."""
    tiles = [raster.tiles() for raster in rasters]
    for raster, found in zip(rasters, tiles, strict=True):
        if not found:
            raise InputError(
                f"{raster.entry.image}: nothing is known of any pixel; look at `area:` and labels"
            )
    windows: list[dict[str, list[Window]]] = [{} for _ in rasters]
    free = [i for i, raster in enumerate(rasters) if raster.entry.split is None]
    for i, raster in enumerate(rasters):
        if raster.entry.split is not None:
            windows[i] = {raster.entry.split: [tile.window for tile in tiles[i]]}
    if config.shares is None:
        windows = [
            own or {"train": [tile.window for tile in found]}
            for own, found in zip(windows, tiles, strict=True)
        ]
    elif free:
        named = [(rasters[i].entry.image.name, tiles[i]) for i in free]
        shared = shared_out(named, config.shares, whole=config.by == "raster")
        for i, own in zip(free, shared, strict=True):
            windows[i] = own
    kept: Windows = {split: () for split in SPLITS if any(split in own for own in windows)}
    lost = total = 0
    for i, mine in enumerate(windows):
        apart = kept_apart(mine, config.gap, config.tile, _beyond(i, rasters, windows))
        for split, rest in apart.items():
            kept[split] += tuple((i, window) for window in rest)
            before = sum(window.pixels for window in mine[split])
            lost += before - sum(window.pixels for window in rest)
            total += before
    for split, left in kept.items():
        if not left:
            raise InputError(
                f"split: the gap of {config.gap} pixels leaves nothing of {split!r}; lower `gap:`,"
                " or share out otherwise"
            )
    notes = [note for raster in rasters for note in raster.notes]
    if lost:
        notes.append(
            f"{100 * lost / total:.3g} % of the pixels lie in gaps of {config.gap} pixels between"
            " the splits, and are left out"
        )
    return kept, tuple(notes)


def _beyond(
    number: int, rasters: tuple[LabelledRaster, ...], windows: list[dict[str, list[Window]]]
) -> dict[str, Float64[ndarray, "n 4"]]:
    """What other rasters have in val and test at places of this one, in its pixels."""
    grid = rasters[number].grid
    found: dict[str, Float64[ndarray, "n 4"]] = {}
    for i, other in enumerate(rasters):
        if i == number or not _placed(grid) or not _placed(other.grid):
            continue
        for split in ("val", "test"):
            if split in windows[i]:
                part = _overlaps(windows[i][split], other.grid, grid)
                found[split] = np.concatenate([found.get(split, np.zeros((0, 4))), part])
    return found


def _placed(grid: Grid) -> bool:
    return grid.crs is not None and not grid.points


def _overlaps(windows: list[Window], grid: Grid, other: Grid) -> Float64[ndarray, "n 4"]:
    """(top, left, bottom, right) of windows of a raster in the pixels of another."""
    rows: list[list[float]] = []
    for top, left, height, width in windows:
        outline = Grid(grid.file, height, width, grid.crs, grid.transform).outline()
        around = outline + np.array([left, top])
        places = other.to_pixels(grid.to_ground(around), grid.crs)
        places = places[np.isfinite(places).all(axis=1)]
        if len(places):
            (x, y), (right, bottom) = places.min(axis=0), places.max(axis=0)
            if x < other.width and y < other.height and right > 0 and bottom > 0:
                rows.append([y, x, bottom, right])
    return np.array(rows, np.float64).reshape(-1, 4)
