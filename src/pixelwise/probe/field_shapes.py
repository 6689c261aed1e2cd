"""The shape of a set of pixels around one, in a few words."""

import numpy as np
from jaxtyping import Bool

from pixelwise.receptive import Pixel


def named(members: Bool[np.ndarray, "h w"], at: Pixel) -> str:
    """What the members look like, seen from the pixel `at`.

    One of: nothing, the pixel itself, whole map, `whole map without 2 rows and 2 columns`, row,
    column, row and column, `3 rows and 3 columns`, `3 x 3`, `window of 7 x 7` (the pixel is not in
    its middle), `3 x 3, every 2nd pixel`, `every 8th pixel of the map`, or the number of pixels
    and the box that holds them.
    """
    places = np.argwhere(members)
    if not len(places):
        return "nothing"
    if members.all():
        return "whole map"
    if len(places) == 1 and tuple(places[0]) == tuple(at):
        return "the pixel itself"
    found = _nearly_whole(members) or _lines(members, at) or _rectangle(members, at)
    return found or _grid(members, at) or _other(members)


def _nearly_whole(members: Bool[np.ndarray, "h w"]) -> str | None:
    """All of the map without some rows and columns inside."""
    rows, columns = np.asarray(members.any(1)), np.asarray(members.any(0))
    if not np.array_equal(members, np.outer(rows, columns)):
        return None
    if not all(line[0] and line[-1] and line.mean() > 0.75 for line in (rows, columns)):
        return None
    left_out = [
        f"{(~line).sum()} {kind}s"
        for line, kind in ((rows, "row"), (columns, "column"))
        if not line.all()
    ]
    return f"whole map without {' and '.join(left_out)}"


def _lines(members: Bool[np.ndarray, "h w"], at: Pixel) -> str | None:
    """Full rows, full columns, or both."""
    rows, columns = np.asarray(members.all(1)), np.asarray(members.all(0))
    if not (np.array_equal(members, rows[:, None] | columns) and (rows.any() or columns.any())):
        return None
    told = []
    for kind, lines, place in (("row", rows, at[0]), ("column", columns, at[1])):
        if lines.sum() == 1 and lines[place]:
            told.append(kind)
        elif lines.any():
            told.append(f"{lines.sum()} {kind}s")
    return " and ".join(told)


def _rectangle(members: Bool[np.ndarray, "h w"], at: Pixel) -> str | None:
    """A full rectangle; one whose middle is not the pixel is a window."""
    (top, left), (bottom, right) = _box(members)
    if not members[top : bottom + 1, left : right + 1].all():
        return None
    size = f"{bottom - top + 1} x {right - left + 1}"
    middle = abs(top + bottom - 2 * at[0]) <= 1 and abs(left + right - 2 * at[1]) <= 1
    return size if middle else f"window of {size}"


def _grid(members: Bool[np.ndarray, "h w"], at: Pixel) -> str | None:
    """Pixels at equal steps, over the map or a part of it."""
    rows, columns = np.flatnonzero(members.any(1)), np.flatnonzero(members.any(0))
    steps = {int(step) for places in (rows, columns) for step in np.diff(places)}
    if len(steps) != 1 or not members[np.ix_(rows, columns)].all():
        return None
    step = steps.pop()
    told = f"every {step}{'nd' if step == 2 else 'rd' if step == 3 else 'th'} pixel"
    edges = zip((rows, columns), members.shape, strict=True)
    if all(p[0] < step and p[-1] >= whole - step for p, whole in edges):
        return f"{told} of the map"
    return f"{len(rows)} x {len(columns)}, {told}"


def _other(members: Bool[np.ndarray, "h w"]) -> str:
    (top, left), (bottom, right) = _box(members)
    return f"{members.sum()} pixels within {bottom - top + 1} x {right - left + 1}"


def _box(members: Bool[np.ndarray, "h w"]) -> tuple[Pixel, Pixel]:
    places = np.argwhere(members)
    (top, left), (bottom, right) = places.min(0).tolist(), places.max(0).tolist()
    return (top, left), (bottom, right)
