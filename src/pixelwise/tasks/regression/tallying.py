"""Errors of values from the sums that each picture adds."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from pixelwise.language import message
from pixelwise.metrics import Kind, Tallies
from pixelwise.metrics.tallies import mean_of_known, share
from pixelwise.tasks.regression.scores import Sums

EACH = 6
"""Sums per band: known pixels, and those of |e|, e squared, e, |e| / t, and close ones."""


def sums_of(bands: Sequence[Sums]) -> list[float]:
    """What a picture adds, band by band."""
    return [
        float(value)
        for one in bands
        for value in (one.pixels, one.absolute, one.squared, one.signed, one.relative, one.within)
    ]


def value_tallies(
    pictures: tuple[str, ...],
    sums: ndarray,
    names: Sequence[str],
    units: Sequence[str],
    std: Sequence[float],
    positive: Sequence[bool],
) -> Tallies:
    """The errors of each band; of several bands first the mean MAE in standard deviations.

    Args:
        pictures: Their names.
        sums: As `sums_of` gives them, (n, 6 bands).
        names: Of the bands; `units` and `std` likewise.
        units: Of the values.
        std: Standard deviations.
        positive: Whether relative errors mean anything.
    """
    single = len(names) == 1

    def scores(of: ndarray) -> ndarray:
        bands, columns = [], []
        for number, sure in enumerate(positive):
            pixels, *parts = of[:, EACH * number : EACH * (number + 1)].T
            mae, square, bias, relative, within = (share(part, pixels) for part in parts)
            bands.append(mae / std[number])
            columns += [mae, np.sqrt(square), bias] + [relative, within] * sure
        together = [] if single else [mean_of_known(np.column_stack(bands))]
        return np.column_stack([*together, *columns])

    kinds = [] if single else [Kind("mae", message("MAE in standard deviations"), False, False)]
    for name, unit, sure in zip(names, units, positive, strict=True):
        of, end = ("", "") if single else (f"{name}: ", f"_{name}")
        for key, title, larger, percent in (
            ("mae", "MAE", False, False),
            ("rmse", "RMSE", False, False),
            ("bias", message("bias"), None, False),
            *((("relative", message("relative error"), False, True),) * sure),
            *((("within", message("within a factor of 1.25"), True, True),) * sure),
        ):
            kinds.append(Kind(key + end, of + title, larger, percent, unit))
    return Tallies(pictures, sums, sums[:, ::EACH].sum(axis=1), tuple(kinds), scores)
