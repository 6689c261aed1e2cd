"""Errors of points from the sums that each picture adds; figures of one picture stay together."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pixelwise.language import message
from pixelwise.metrics import Kind, Tallies
from pixelwise.metrics.tallies import share

NEAR = 5
"""Pixels."""
TITLES = {f"within_{NEAR}": message("within {near} px", near=NEAR)}


def point_tallies(
    figures: Sequence[str],
    capped: Float[ndarray, "n k"],
    within: Mapping[str, Float[ndarray, "n k"]],
    similarity: Float[ndarray, " n"] | None,
    names: Sequence[str],
) -> Tallies:
    """Mean error, shares of near points, OKS where it is known, and the mean error of each point.

    Args:
        figures: Name of the picture of each figure.
        capped: Distances in pixels, those of missed points bounded; NaN without a label.
        within: Score -> 1 for near points, 0 for others, NaN where it does not count.
        similarity: OKS of each figure; NaN where no point is labelled.
        names: Of the points.
    """
    parts = [capped.copy(), *within.values()]
    shares = ["mean_error", *within]
    if similarity is not None:
        parts.append(similarity[:, None])
        shares.append("oks")
    columns = [one for part in parts for one in _sums(part.reshape(len(capped), -1))]
    columns += [one for k in range(len(names)) for one in _sums(capped[:, k : k + 1])]
    pictures = {name: row for row, name in enumerate(dict.fromkeys(figures))}
    sums = np.zeros((len(pictures), len(columns)))
    np.add.at(sums, [pictures[name] for name in figures], np.column_stack(columns))
    kinds = (
        Kind("mean_error", message("mean error"), False, False, "px"),
        *(Kind(name, TITLES.get(name, name)) for name in within),
        *((Kind("oks", "OKS", True, False),) * (similarity is not None)),
        *(Kind(f"mean_error_{name}", name, False, False, "px") for name in names),
    )
    return Tallies(
        tuple(pictures), sums, sums[:, 1], kinds, lambda of: share(of[:, ::2], of[:, 1::2])
    )


def _sums(values: ndarray) -> tuple[ndarray, ndarray]:
    """Per figure the sum of what is known, and how many are."""
    known = ~np.isnan(values)
    return np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)
