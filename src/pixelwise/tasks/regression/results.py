"""Scores of predicted values as training and people see them."""

import copy
import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pixelwise import pictures
from pixelwise.errors import InputError
from pixelwise.language import cells, left, mark, message, right, translate
from pixelwise.metrics.tallies import Tallies, unique
from pixelwise.tasks.base import Result, Scorer, dealt_back
from pixelwise.tasks.measures import Measure, Measures
from pixelwise.tasks.regression.scores import BandScores, Sums
from pixelwise.tasks.regression.tallying import sums_of, value_tallies

CONSTANT = 0.98
"""From this share of the truth's spread on, an error is hardly below that of a constant."""
MEASURES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "bias": mark("bias"),
    "relative": mark("relative error"),
    "within": mark("within 1.25"),
}
"""Attribute of the scores -> its heading."""


class ValueResult(Result):
    """Errors of values, band by band.

    Args:
        bands: Name of a band -> its scores.
        units: Of the bands.
        std: Standard deviations that errors of several bands are compared in.
        pictures: What each picture adds.
    """

    title = "MAE"
    column = "mae"

    def __init__(
        self,
        bands: Mapping[str, BandScores],
        units: Sequence[str],
        std: Sequence[float],
        pictures: Tallies | None = None,
    ) -> None:
        self.bands, self.pictures = dict(bands), pictures
        self.units, self.std = tuple(units), tuple(std)
        if not any(found.pixels for found in self.bands.values()):
            raise InputError("no pixel was counted: none is known; look at the masks")

    @property
    def best(self) -> float:
        """Minus the mean absolute error; of several bands the mean, in standard deviations."""
        if len(self.bands) == 1:
            (only,) = self.bands.values()
            assert only.mae is not None
            return -only.mae
        parts = [
            found.mae / std
            for found, std in zip(self.bands.values(), self.std, strict=True)
            if found.mae is not None
        ]
        return -sum(parts) / len(parts)

    def line(self) -> str:
        """MAE and RMSE of each band."""
        told = [
            f"{'' if len(self.bands) == 1 else name + ' '}MAE {_with(found.mae, unit)}"
            f"  RMSE {_with(found.rmse, unit)}"
            for (name, found), unit in zip(self.bands.items(), self.units, strict=True)
        ]
        return "  ".join(told)

    def numbers(self) -> Mapping[str, float | int | None]:
        """The best number, and all of each band."""
        single = len(self.bands) == 1
        return {
            "mae": -self.best,
            **{
                measure if single else f"{measure}_{name}": getattr(found, measure)
                for name, found in self.bands.items()
                for measure in MEASURES
                if not (single and measure == "mae")
            },
        }

    def summary(self) -> Mapping[str, Any]:
        """The numbers, known pixels, and the bias per range of true values."""
        return {
            **self.numbers(),
            "truth_pixels": {name: found.pixels for name, found in self.bands.items()},
            "units": dict(zip(self.bands, self.units, strict=True)),
            "bias_by_range": {
                name: [[_finite(low), _finite(high), n, bias] for low, high, n, bias in one.ranges]
                for name, one in self.bands.items()
            },
        }

    def tallies(self) -> Tallies | None:
        """Sums of errors of every band."""
        return self.pictures

    def measures(self) -> Measures:
        """Errors of each band."""
        rows = []
        for (name, found), unit in zip(self.bands.items(), self.units, strict=True):
            of, told = "" if len(self.bands) == 1 else f"{name}: ", f", {unit}" if unit else ""
            rows += [
                Measure(message("{of}MAE{told}", of=of, told=told), found.mae, False),
                Measure(message("{of}RMSE{told}", of=of, told=told), found.rmse, False),
                Measure(message("{of}bias{told}", of=of, told=told), found.bias),
                Measure(message("{of}relative error, %", of=of), _percent(found.relative), False),
                Measure(
                    message("{of}within a factor of 1.25, %", of=of), _percent(found.within), True
                ),
            ]
        return Measures(tuple(rows), digits=2)

    def table(self) -> str:
        """Errors per band in its unit, and the bias per range of true values."""
        width = max(5, *map(cells, self.bands))
        heads = [right(translate(head), 14) for head in MEASURES.values()]
        heads += [right(translate("known pixels"), 13), translate("unit")]
        lines = ["  ".join([left(translate("band"), width), *heads])]
        for (name, found), unit in zip(self.bands.items(), self.units, strict=True):
            told = "  ".join(
                right(_cell(getattr(found, measure), share=measure == "within"), 14)
                for measure in MEASURES
            )
            lines.append(f"{left(name, width)}  {told}  {found.pixels:>13,}  {unit}".rstrip())
        for (name, found), unit in zip(self.bands.items(), self.units, strict=True):
            if found.ranges:
                lines.append(
                    translate("bias of {name} by true value").format(name=name)
                    + (f", {unit}" if unit else "")
                )
            lines += [
                f"  {right(_range(low, high), 24)}  {right(_cell(bias), 10)}  {pixels:>13,} "
                + translate("pixels")
                for low, high, pixels, bias in found.ranges
            ]
        return "\n".join(lines)

    def files(self) -> Mapping[str, bytes]:
        """Both tables, and the bias per range as a picture."""
        rows = [
            [name, *(getattr(found, measure) for measure in MEASURES), found.pixels, unit]
            for (name, found), unit in zip(self.bands.items(), self.units, strict=True)
        ]
        ranges = [[name, *one] for name, found in self.bands.items() for one in found.ranges]
        files = {"bands.csv": _csv(["band", *MEASURES, "truth_pixels", "unit"], rows)}
        if ranges:
            files["bias.csv"] = _csv(["band", "from", "to", "truth_pixels", "bias"], ranges)
            files["bias.png"] = pictures.bias_chart(
                {
                    f"{name}, {unit}" if unit else name: found.ranges
                    for (name, found), unit in zip(self.bands.items(), self.units, strict=True)
                }
            )
        return files

    def warning(self) -> str | None:
        """A line where a constant would do as well."""
        known = [found for found in self.bands.values() if found.rmse and found.spread]
        if not known or any(b.rmse < CONSTANT * b.spread for b in known):  # type: ignore[operator]
            return None
        return message(
            "the best network is hardly nearer to the truth of val than its mean is,"
            " so it has learnt little; try more steps, another --lr, or --pretrained,"
            " and look at the masks"
        )


class ValueScorer(Scorer):
    """Gathers predicted and true values.

    Args:
        names: Of the bands; `units` and `std` likewise.
        units: Of the values.
        std: Standard deviations of the training values.
        edges: Per band, inner ends of the ranges that the bias is told of; may be empty.
    """

    def __init__(
        self,
        names: Sequence[str],
        units: Sequence[str],
        std: Sequence[float],
        edges: Sequence[Sequence[float]],
    ) -> None:
        self.names, self.units, self.std = names, units, std
        self._edges = [tuple(ends) for ends in edges]
        self._names: list[str] = []
        self._pictures: list[list[Sums]] = []

    def look(self, name: str, logits: Tensor, target: Tensor) -> None:
        """The name of the next picture."""
        self._names.append(name)

    def update(self, answer: Tensor, target: Tensor) -> None:
        """One picture, both (k, h, w)."""
        bands = zip(self._edges, answer.numpy(), target.numpy(), strict=True)
        self._pictures.append([Sums.of(*band) for band in bands])

    def joined(self, parts: Sequence["ValueScorer"]) -> "ValueScorer":
        """The pictures of all parts, in their order, since sums of floats depend on it."""
        whole = copy.copy(self)
        whole._names = dealt_back([part._names for part in parts])
        whole._pictures = dealt_back([part._pictures for part in parts])
        return whole

    def last(self) -> float | None:
        """Minus the error of the last picture, in standard deviations where bands are several."""
        error = self._tallies(self._pictures[-1:], ("last",)).scores()[0]
        return None if error is None else -error

    def _tallies(self, of: Sequence[Sequence[Sums]], names: tuple[str, ...]) -> Tallies:
        positive = [one.positive for one in self._whole()]
        each = np.array([sums_of(bands) for bands in of], dtype=np.float64)
        return value_tallies(names, each, self.names, self.units, self.std, positive)

    def _whole(self) -> list[Sums]:
        sums = [Sums(edges) for edges in self._edges]
        for picture in self._pictures:
            for one, found in zip(sums, picture, strict=True):
                one.include(found)
        return sums

    def result(self) -> ValueResult:
        """All of them."""
        pictures = None
        if self._pictures and len(self._names) == len(self._pictures):
            pictures = self._tallies(self._pictures, unique(self._names))
        bands = dict(zip(self.names, (one.scores() for one in self._whole()), strict=True))
        return ValueResult(bands, self.units, self.std, pictures)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _with(value: float | None, unit: str) -> str:
    told = translate("unknown") if value is None else f"{value:.4g}"
    return f"{told} {unit}".rstrip()


def _cell(value: float | None, *, share: bool = False) -> str:
    if value is None:
        return translate("none")
    return f"{100 * value:.1f} %" if share else f"{value:.4g}"


def _range(low: float, high: float) -> str:
    if low == -math.inf:
        return translate("below {high:.4g}").format(high=high)
    return (
        translate("from {low:.4g}").format(low=low)
        if high == math.inf
        else f"{low:.4g} to {high:.4g}"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
