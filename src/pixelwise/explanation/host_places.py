"""From labels to places: the cell of each query and each key, proved, or why there is none."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.explanation.host_labels import FINE, Injection, Label, Reading, labels, quotient
from pixelwise.explanation.placing import Area

NO_PLACE = "its tokens cannot be placed on the picture"
NEAR = 0.25
"""Of a cell, from its middle."""
ALIKE = 0.9
"""Least correlation of a map's rows and columns with those that the labels before say."""


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
    reading: Reading, injections: Sequence[Injection], areas: Sequence[Area], coarse: bool
) -> Placed | str:
    """The places of an attention's tokens, or why they have none.

    Args:
        reading: What its labels were.
        injections: The maps that had labels then.
        areas: What each of them covers.
        coarse: Whether the numbers are of half precision.
    """
    grids = {(made.rows, made.columns): area for made, area in zip(injections, areas, strict=True)}
    keys = _tokens(reading.values, grids, coarse)
    if isinstance(keys, str):
        width = _tokens(reading.width, grids, coarse) if reading.width else NO_PLACE
        if not isinstance(width, str):
            return "it weighs channels, not pixels"
        return keys if reading.values else "its keys are no pixels of the picture"
    queries = _tokens(reading.queries, grids, coarse, most=0.5)
    if isinstance(queries, str):
        return "its queries are no pixels of the picture" if not reading.queries else queries
    return Placed(queries, keys)


def _tokens(
    read: Mapping[Label, Float[Tensor, "lead tokens few"]],
    grids: Mapping[tuple[int, int], Area],
    coarse: bool,
    most: float = 0.25,
) -> Tokens | str:
    """The cells, on the coarsest grid that has them all; of `most` of the tokens there are none."""
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
    for (rows, columns), area in sorted(grids.items(), key=lambda item: item[0]):
        row = _index(said, "row", "fine row", rows, coarse)
        column = _index(said, "column", "fine column", columns, coarse)
        fits = some
        for index, count in ((row, rows), (column, columns)):
            if index is None:
                break
            fits = fits & (index[1] < NEAR) & (index[0] >= 0) & (index[0] < count)
        if row is None or column is None:
            continue
        cells = row[0].clamp(0, rows - 1) * columns + column[0].clamp(0, columns - 1)
        random = labels("random", rows, columns).to(one.device).flatten()[cells]
        gap = (read["random"] - random[..., None] * one).norm(dim=-1) / size.clamp(min=1e-30)
        fits = fits & (gap < (0.15 if coarse else 0.03))
        lost = int((some & ~fits).sum())
        if fits.any() and lost <= most * int(some.sum()):
            return Tokens(rows, columns, area, torch.where(fits, cells, -1).cpu())
    return NO_PLACE


def _index(
    said: Mapping[Label, Tensor], name: Label, fine: Label, count: int, coarse: bool
) -> tuple[Int[Tensor, "..."], Float[Tensor, "..."]] | None:
    """The nearest row or column, and how far it is from it."""
    if name not in said:
        return None
    place = said[name] * count - 0.5
    if coarse:
        rest = said[fine] * FINE - 0.5
        steps = ((place - rest) / FINE).round()
        place = steps * FINE + rest
    near = place.round()
    return near.long(), (place - near).abs()


def areas(injections: Sequence[Injection]) -> tuple[list[Area], set[int]]:
    """What each map covers of the picture, and the positions of those that lie elsewhere."""
    found: list[Area] = []
    wrong: set[int] = set()
    for index, made in enumerate(injections):
        if made.area is not None:
            found.append(made.area)
            continue
        before = found[-1]
        area = _area(made, before) if made.seen else before
        if area is None:
            wrong.add(index)
        found.append(before if area is None else area)
    return found, wrong


def _area(made: Injection, before: Area) -> Area | None:
    """The area of a map by the labels before it, in which it should lie as it is."""
    one = made.seen.get("one")
    if one is None or made.places is None:
        return None
    square = (one * one).sum(-1)
    some = square > 1e-6 * square.max()
    sides = []
    names: tuple[tuple[Label, int], ...] = (("row", made.rows), ("column", made.columns))
    for axis, (name, count) in enumerate(names):
        place = ((made.places[:, axis].to(one.device) + 0.5) / count)[some]
        said = ((made.seen[name] * one).sum(-1) / square.clamp(min=1e-30))[some]
        side = _side(place, said, count, before[axis], made.tiles)
        if side is None:
            return None
        sides.append(side)
    return sides[0], sides[1]


def _side(place: Tensor, said: Tensor, count: int, before: float, tiles: bool) -> float | None:
    """What one axis covers: as much as before, or a whole number of pixels per cell."""
    if count == 1:
        return before
    if len(place) < 2:
        return None
    fits = functools.partial(_fits, place, said, count)
    inner = (place > 1 / count) & (place < 1 - 1 / count)
    if tiles and count > 3:
        ratio = (said / place)[inner].median().item()
        step = round(before * ratio / count)
        side = float(step * count)
        padded = step >= 2 and abs(ratio - 1) * count > 0.3
        if padded and abs(side / before - ratio) * count < 0.2 and fits(side / before):
            return side
    return before if fits(1.0) else None


def _fits(place: Tensor, said: Tensor, count: int, ratio: float) -> bool:
    off = ((said - ratio * place).abs() * count).median().item()
    if count > 3 and len(place) > 8:
        pair = torch.corrcoef(torch.stack([place, said]))
        if pair[0, 1] < ALIKE:
            return False
    return off < 0.6 + 0.03 * count
