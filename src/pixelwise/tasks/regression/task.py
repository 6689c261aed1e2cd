"""Numbers per pixel: a band of logits per band of values."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.georeference import geo_tags, values_tiff
from pixelwise.data.keys import as_float
from pixelwise.data.source import LabelledPictures, Source
from pixelwise.errors import InputError, unknown
from pixelwise.language import message
from pixelwise.tasks.bands import Bands, with_holes
from pixelwise.tasks.base import Loss, LossChoice, Task
from pixelwise.tasks.regression.demonstration import DEPTH_SCENES
from pixelwise.tasks.regression.losses import LOGARITHMIC, LOSSES, log_softplus, value_loss
from pixelwise.tasks.regression.measuring import QUANTILES, measure
from pixelwise.tasks.regression.results import ValueScorer

STATED = ("positive", "mean", "std")
"""Options that a user may state."""
MEASURED = ("units", "lowest", "quantiles")
"""Those that come from the data alone."""
LARGEST = 1024
"""Longest side of the pictures for people."""


class Regression(Task):
    """One number per pixel and band.

    With the logit z, and mean m and standard deviation s of the band's training values, the value
    is s z + m; where it must be `positive`, s softplus(z + m / s).

    Options, in `task_options`:
        positive: Values are never 0 or below.
        mean: Per band, as a list or one number for all; by default measured.
        std: Likewise.
        units, lowest, quantiles: Set from the data.
    """

    key = "regression"
    summary = "numbers per pixel: depth, height, density"
    data = "values"
    losses = LOSSES
    zoom = (1.0, 1.0)
    own_scale = "values such as depths depend on how large things are in the picture"
    demonstration = DEPTH_SCENES

    def check(self) -> None:
        """Raise for options that there are not, or that do not fit the bands."""
        options, count = self.described.task_options, self.described.num_classes
        for name in options:
            if name not in (*STATED, *MEASURED):
                raise unknown("option", name, STATED, "of regression")
        for name in ("mean", "std", *MEASURED):
            found = options.get(name)
            if found is not None and (not isinstance(found, tuple) or len(found) != count):
                raise InputError(f"{name}={found!r}: must be one per band, {count}; correct it")
        _check_moments(options)
        for found in options.get("quantiles") or ():
            if len(found) != len(QUANTILES):
                raise InputError(f"quantiles={found}: must be {len(QUANTILES)}; leave them out")

    @classmethod
    def options(cls, source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What the user states, and what is measured on the training pictures.

        Raises:
            InputError: An option that there is not or that does not fit the values, or nothing is
                known of a band.
        """
        for name in settings:
            if name not in STATED:
                raise unknown("option", name, STATED, "of regression")
        names, pictures = source.classes.names, source.split("train")
        assert isinstance(pictures, LabelledPictures)
        found = measure(pictures)
        positive = settings.get("positive", False)
        told = {
            name: _per_band(name, settings[name], len(names))
            for name in ("mean", "std")
            if name in settings
        }
        below = [name for name, one in zip(names, found, strict=True) if one.lowest < 0]
        if positive is True and below:
            low = found[names.index(below[0])].lowest
            raise InputError(
                f"positive=True: but {below[0]} goes down to {low:g} in {pictures.name}; leave it"
                " out, or name the raw value in values_nodata"
            )
        options = {
            "positive": positive,
            "mean": tuple(one.mean for one in found),
            "std": tuple(one.std for one in found),
            **told,
            "units": tuple(source.units.values()),
            "lowest": tuple(one.lowest for one in found),
            "quantiles": tuple(one.quantiles for one in found),
        }
        _check_moments(options)
        return {name: value for name, value in options.items() if value != ()}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the bands."""
        known, count = self.described.names, self.described.num_classes
        return known if len(known) == count else tuple(f"band {i}" for i in range(count))

    @property
    def units(self) -> tuple[str, ...]:
        """Of the bands; empty text where there is none."""
        return self.described.task_options.get("units") or ("",) * self.described.num_classes

    @property
    def positive(self) -> bool:
        """Whether all values are above 0."""
        return bool(self.described.task_options.get("positive", False))

    def moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, (k, 1, 1)."""
        count, options = self.described.num_classes, self.described.task_options
        mean = options.get("mean") or (0.0,) * count
        std = options.get("std") or (1.0,) * count
        return like.new_tensor(mean)[:, None, None], like.new_tensor(std)[:, None, None]

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Float32[Tensor, "n k h w"]:
        """The values."""
        wide = logits.float()
        mean, std = self.moments(wide)
        return std * F.softplus(wide + mean / std) if self.positive else std * wide + mean

    def merged(self, views: Sequence[Float[Tensor, "n k h w"]]) -> Float[Tensor, "n k h w"]:
        """Those of the mean values."""
        wide = torch.stack([view.float() for view in views])
        if not self.positive:
            return wide.mean(dim=0)
        mean, std = self.moments(wide)
        # The inverse of softplus, of the mean: x + log(1 - exp(-x)).
        value = F.softplus(wide + mean / std).mean(dim=0)
        return value + (-torch.expm1(-value)).log() - mean / std

    def loss(self, choice: LossChoice) -> Loss:
        """An error of known pixels, in standard deviations or of logarithms."""
        if choice.weights is not None:
            raise InputError("class_weights='auto': is for classes; leave it out for regression")
        name = self.chosen(choice)
        if name in LOGARITHMIC:
            self._check_logarithms(name)

        def of(logits: Tensor, truth: Tensor) -> Tensor:
            wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
            truth = truth.to(wide)
            mean, std = self.moments(wide)
            if name in LOGARITHMIC:
                known = truth > 0  # neither NaN nor what has no logarithm
                apart = std.log() + log_softplus(wide + mean / std)
                return value_loss(name, apart - torch.where(known, truth, 1.0).log(), known)
            known = truth.isfinite()
            at = torch.where(known, truth, mean)
            predicted = F.softplus(wide + mean / std) if self.positive else wide + mean / std
            return value_loss(name, predicted - at / std, known)

        return of

    def _check_logarithms(self, name: str) -> None:
        lowest = self.described.task_options.get("lowest") or ()
        for band, low in zip(self.names, lowest, strict=False):
            if low <= 0:
                raise InputError(
                    f"loss={name!r}: needs values above 0, but {band} goes down to {low:g}; take"
                    " l1, or name the raw value in values_nodata where it means unknown"
                )
        if not self.positive:
            raise InputError(
                f"loss={name!r}: needs predictions above 0; add task_options {{positive: true}}"
            )

    def confidence(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Where the values at a pixel lie in the range of the training values, 0 to 1."""
        values = self.answer(logits[:, :, None, None])[:, :, 0, 0]
        ends = values.new_tensor([self._ends(i, np.zeros(1)) for i in range(values.shape[1])])
        low, high = ends.unbind(dim=1)
        return ((values - low) / (high - low)).clamp(0, 1)

    def places(self, answer: Float[Tensor, "k h w"]) -> list[tuple[int, int]]:
        """The pixels with the lowest, the middle and the highest value of the first band."""
        values = answer[0]
        order = values.flatten().argsort()
        chosen = [int(order[i]) for i in (0, len(order) // 2, len(order) - 1)]
        return list(dict.fromkeys(divmod(place, values.shape[1]) for place in chosen))

    def scorer(self) -> ValueScorer:
        """Errors of all bands, and the bias by tenths of the training values."""
        count = self.described.num_classes
        quantiles = self.described.task_options.get("quantiles") or ((),) * count
        edges = [tuple(sorted(set(found[1:-1]))) for found in quantiles]
        std = self.described.task_options.get("std") or (1.0,) * count
        return ValueScorer(self.names, self.units, std, edges)

    def picture(self, image: ndarray, target: Tensor, answer: Tensor) -> ndarray:
        """Picture, truth and prediction, a row per band, each with its colour bar."""
        return self.compared(image, target, {"prediction": answer})

    def compared(self, image: ndarray, target: Tensor, answers: Mapping[str, Tensor]) -> ndarray:
        """Picture, truth and predictions, a row per band, each with its colour bar."""
        rows = []
        for i, truth in enumerate(target.numpy()):
            maps = {"truth": truth, **{label: one[i].numpy() for label, one in answers.items()}}
            ends = self._ends(i, *maps.values())
            rows.append(pictures.value_panels(image, maps, ends, self._label(i)))
        return pictures.stacked(rows)

    def file_names(self, name: str) -> tuple[str, ...]:
        """The values, and a picture of them."""
        return f"{name}.tif", f"{name}_values.png"

    def write(
        self,
        folder: Path,
        name: str,
        image: ndarray,
        answer: Tensor,
        missing: Tensor | None,
        source: Path,
    ) -> None:
        """A float32 TIFF that lies where a GeoTIFF lay, and the values in colour."""
        self.record(folder, name, answer, missing, source)
        rows = [
            pictures.value_panels(
                image, {"prediction": band}, self._ends(i, band), self._label(i), longest=LARGEST
            )
            for i, band in enumerate(_with_nan(answer, missing))
        ]
        shown = pictures.png(pictures.stacked(rows))
        pictures.write_bytes(folder / self.file_names(name)[1], shown)

    def record(
        self, folder: Path, name: str, answer: Tensor, missing: Tensor | None, source: Path
    ) -> None:
        """A float32 TIFF that lies where a GeoTIFF lay."""
        content = values_tiff(_with_nan(answer, missing), geo_tags(source))
        pictures.write_bytes(folder / self.file_names(name)[0], content)

    def shown(self, image: ndarray, answer: Tensor, missing: Tensor | None) -> ndarray:
        """The values of the first band in colour."""
        first = _with_nan(answer, missing)[0]
        found: ndarray = pictures.shaded(first, self._ends(0, first))
        return found

    def bands(self) -> Bands:
        """A float32 band per band of values."""

        def numbers(logits: Tensor, missing: Tensor | None) -> ndarray:
            return with_holes(self.answer(logits[None])[0].numpy(), missing, "float32", math.nan)

        return Bands(self.names, "float32", math.nan, numbers)

    @property
    def without_data(self) -> str:
        """NaN."""
        return message("NaN in their files")

    def _label(self, band: int) -> str:
        unit = self.units[band]
        return f"{self.names[band]}, {unit}" if unit else self.names[band]

    def _ends(self, band: int, *shown: ndarray) -> tuple[float, float]:
        """The values where colours end: those of training, so that pictures can be compared."""
        quantiles = self.described.task_options.get("quantiles")
        if quantiles:
            low, high = quantiles[band][0], quantiles[band][-1]
        else:
            known = np.concatenate([values[np.isfinite(values)].ravel() for values in shown])
            low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        return (low, high) if low < high else (low - 0.5, low + 0.5)


def _per_band(name: str, value: object, count: int) -> tuple[float, ...]:
    numbers = [as_float(one) for one in value] if isinstance(value, list | tuple) else []
    if (single := as_float(value)) is not None:
        numbers = [single] * count
    known = tuple(number for number in numbers if number is not None)
    if len(known) != count:
        raise InputError(f"{name}={value!r}: must be a number, or one per band, {count}; e.g. 1.0")
    return known


def _check_moments(options: Mapping[str, Any]) -> None:
    for name in ("mean", "std"):
        for value in options.get(name) or ():
            number = as_float(value)
            if number is None or not abs(number) < 1e30 or (name == "std" and number <= 0):
                rule = "a number above 0" if name == "std" else "a number"
                raise InputError(f"{name}={value!r}: must be {rule}; leave it out to measure it")
    if not isinstance(positive := options.get("positive", False), bool):
        raise InputError(f"positive={positive!r}: must be true or false; leave it out for false")


def _with_nan(answer: Tensor, missing: Tensor | None) -> ndarray:
    found = answer if missing is None else answer.masked_fill(missing, float("nan"))
    values: ndarray = found.numpy()
    return values
