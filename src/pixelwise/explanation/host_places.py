"""From labels to places: the cell of each query and each key, proved, or why there is none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.explanation.host_labels import FINE, Injection, Label, Reading, labels, quotient
from pixelwise.explanation.placing import Area
from pixelwise.language import mark

NO_PLACE = mark("its tokens cannot be placed on the picture")
NEAR = 0.25
"""Of a cell, from its middle."""


@dataclass(frozen=True)
class Tokens:
    """The cell of each token of each head."""

    rows: int
    columns: int
    area: Area
    cells: Int[Tensor, "lead tokens"]
    """Counted in reading order; -1 is no cell: a class token, a register, padding."""


@dataclass(frozen=True)
class Placed:
    """Where an attention's queries and keys lie."""

    queries: Tokens
    keys: Tokens


def placed(
    reading: Reading, injections: Sequence[Injection], extent: Area, coarse: bool
) -> Placed | str:
    """The places of an attention's tokens, or why they have none.

    Args:
        reading: What its labels were.
        injections: The maps that had labels then.
        extent: In what labels count.
        coarse: Whether the numbers are of half precision.
    """
    grids = {(made.rows, made.columns, made.area) for made in injections}
    maps = [_Map(*grid, extent) for grid in sorted(grids)]
    keys = _tokens(reading.values, maps, coarse)
    if isinstance(keys, str):
        width = _tokens(reading.width, maps, coarse) if reading.width else NO_PLACE
        if not isinstance(width, str):
            return mark("it weighs channels, not pixels")
        return keys if reading.values else mark("its keys are no pixels of the picture")
    queries = _tokens(reading.queries, maps, coarse)
    if isinstance(queries, str):
        return mark("its queries are no pixels of the picture") if not reading.queries else queries
    whole = _with_lost_heads(queries, keys)
    return NO_PLACE if whole is None else Placed(whole, keys)


def _with_lost_heads(queries: Tokens, keys: Tokens) -> Tokens | None:
    """The queries, those too that the labels say nothing of; None where that is unknown.

    Queries of length 1 may lose their labels. They lie where their keys do, if all others lie so.
    """
    if queries.cells.shape != keys.cells.shape:
        lost = (keys.cells >= 0).any(1) & ~(queries.cells >= 0).any(1)
        return None if lost.any() else queries
    lost = (keys.cells >= 0) & (queries.cells < 0)
    if not lost.any():
        return queries
    same = torch.equal(queries.cells[~lost], keys.cells[~lost])
    if not same or (queries.rows, queries.columns) != (keys.rows, keys.columns):
        return None
    return replace(queries, cells=keys.cells)


@dataclass(frozen=True)
class _Map:
    rows: int
    columns: int
    area: Area
    extent: Area


def _tokens(
    read: Mapping[Label, Float[Tensor, "lead tokens few"]], maps: Iterable[_Map], coarse: bool
) -> Tokens | str:
    """The cells, on the coarsest map that has all tokens that lie anywhere."""
    if "one" not in read:
        return NO_PLACE
    one = read["one"]
    size = one.norm(dim=-1)
    some = size > 1e-5 * size.max()
    if not some.any():
        return NO_PLACE
    said: dict[Label, Tensor] = {
        name: quotient(found, one) for name, found in read.items() if name != "one"
    }
    found: list[tuple[float, Tokens]] = []
    for each in maps:
        rows, columns = each.rows, each.columns
        if found and (found[0][1].rows, found[0][1].columns) != (rows, columns):
            break
        row = _index(said, 0, each, coarse)
        column = _index(said, 1, each, coarse)
        if row is None or column is None:
            continue
        fits = some
        for index, count in ((row, rows), (column, columns)):
            fits = fits & (index[1] < NEAR) & (index[0] >= 0) & (index[0] < count)
        cells = row[0].clamp(0, rows - 1) * columns + column[0].clamp(0, columns - 1)
        random = labels("random", rows, columns).to(one.device).flatten()[cells]
        gap = (read["random"] - random[..., None] * one).norm(dim=-1) / size.clamp(min=1e-30)
        fits = fits & (gap < (0.15 if coarse else 0.03))
        if torch.equal(fits, some):
            off = (row[1] + column[1])[some].mean().item()
            tokens = Tokens(rows, columns, each.area, torch.where(fits, cells, -1).cpu())
            found.append((off, tokens))
    return min(found, key=lambda one: one[0])[1] if found else NO_PLACE


def _index(
    said: Mapping[Label, Tensor], axis: int, map_: _Map, coarse: bool
) -> tuple[Int[Tensor, "..."], Float[Tensor, "..."]] | None:
    """The nearest row or column, and how far it is from it."""
    names: tuple[tuple[Label, Label], ...] = (("row", "fine row"), ("column", "fine column"))
    name, fine = names[axis]
    if name not in said:
        return None
    count = (map_.rows, map_.columns)[axis]
    place = said[name] * (map_.extent[axis] / map_.area[axis]) * count - 0.5
    if coarse:
        rest = said[fine] * FINE - 0.5
        steps = ((place - rest) / FINE).round()
        place = steps * FINE + rest
    near = place.round()
    return near.long(), (place - near).abs()
