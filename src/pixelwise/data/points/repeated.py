"""How well people place points, from pictures that were labelled a second time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from pixelwise.data.points.figure import Figure
from pixelwise.data.points.labels import PointLabels
from pixelwise.errors import InputError


def estimated_sigmas(
    labels: Float[ndarray, "r n k 2"], areas: Float[ndarray, " n"], names: Sequence[str]
) -> Float64[ndarray, " k"]:
    """The spread of repeated labels of n things, one number per point, for OKS.

    sigma_k^2 = mean of sum_r |p_r - mean p|^2 / (r - 1) / A     over things labelled r times

    Args:
        labels: The labels of r people, or of one at r times; NaN where a point is missing.
        areas: Of the things, in square pixels.
        names: Of the points, for messages.

    Raises:
        InputError: An area that is not above 0, a point that nobody labelled twice, or one whose
            labels are all the same.
    """
    if not (np.isfinite(areas) & (areas > 0)).all():
        raise InputError(f"areas={areas.tolist()}: must be above 0, in square pixels; correct them")
    there = np.isfinite(labels).all(axis=-1)
    counts = there.sum(axis=0)
    known = np.where(there[..., None], labels, 0).astype(np.float64)
    middle = known.sum(axis=0) / np.maximum(counts, 1)[..., None]
    squares = (((known - middle) ** 2).sum(axis=-1) * there).sum(axis=0)
    repeated = counts > 1
    shares = squares / np.maximum(counts - 1, 1) / areas[:, None]
    things = repeated.sum(axis=0)
    spread = np.sqrt((shares * repeated).sum(axis=0) / np.maximum(things, 1))
    if not (spread > 0).all():
        place = int(np.argmin(spread))
        rule = "labelled alike every time" if things[place] else "labelled once at most"
        raise InputError(
            f"labels: point {names[place]!r} is {rule}; label some pictures a second time"
        )
    return spread


def sigmas_from(
    first: Sequence[PointLabels], second: Sequence[PointLabels]
) -> tuple[tuple[float, ...], int]:
    """Sigmas from labels of the same pictures by two people, and how many figures those share.

    A picture counts where both have one figure with points in it.

    Args:
        first: Figures with areas, see `with_areas`.
        second: With the same points in the same order.

    Raises:
        InputError: No picture in common, or a point that they do not both have.
    """
    ones, others = _alone(first), _alone(second)
    by_name = _by_name(others)
    own = _by_name(ones)
    pairs = []
    for path, figure in ones.items():
        other = others.get(path)
        if other is None and own[figure.file.name] is figure:
            other = by_name.get(figure.file.name)
        if other is not None and figure.area:
            pairs.append((figure, other))
    if not pairs:
        raise InputError(
            f"{second[0].file}: has no picture with one figure in common with {first[0].file};"
            " label pictures of that file a second time"
        )
    labels = np.stack([[figure.points for figure in side] for side in zip(*pairs, strict=True)])
    areas = np.array([figure.area for figure, _ in pairs], np.float64)
    try:
        spread = estimated_sigmas(labels, areas, first[0].names)
    except InputError as error:
        raise InputError(f"{second[0].file}: {error}") from None
    return tuple(spread.tolist()), len(pairs)


def with_areas(labels: Sequence[PointLabels]) -> list[PointLabels]:
    """The same labels; figures without an area have that of the box around their points.

    Where that is nothing, as of a single point, it is the median of the others.
    """
    figures = [figure for one in labels for figure in one.figures]
    known = [area for figure in figures if (area := figure.area or _around(figure))]
    usual = float(np.median(known)) if known else None
    return [
        replace(one, figures=[replace(f, area=f.area or _around(f) or usual) for f in one.figures])
        for one in labels
    ]


def _around(figure: Figure) -> float:
    places = figure.points[figure.labelled]
    return float(np.prod(np.ptp(places, axis=0))) if len(places) else 0.0


def _alone(labels: Sequence[PointLabels]) -> dict[str, Figure]:
    """Path of a picture -> its figure, of pictures that have one."""
    of: dict[str, list[Figure]] = {}
    for figure in (figure for one in labels for figure in one.figures if figure.labelled.any()):
        of.setdefault(figure.file.as_posix(), []).append(figure)
    return {path: figures[0] for path, figures in of.items() if len(figures) == 1}


def _by_name(figures: Mapping[str, Figure]) -> dict[str, Figure | None]:
    """Name of a file -> its figure; None where several pictures have it."""
    found: dict[str, Figure | None] = {}
    for figure in figures.values():
        found[figure.file.name] = None if figure.file.name in found else figure
    return found
