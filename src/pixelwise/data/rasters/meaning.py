"""What the labels of a raster mean, window by window: classes, labels that overlap, or numbers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pixelwise.data.label_masks import LabelReader
from pixelwise.data.quantities import Quantity, measured
from pixelwise.data.rasters.areas import Window
from pixelwise.data.rasters.config import Entry, RastersConfig
from pixelwise.data.rasters.features import Burner, Features
from pixelwise.data.rasters.label_raster import LabelRaster
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError, suggestion

GREY_OR_COLOUR = (1, 3)


@runtime_checkable
class Labels(Protocol):
    """The labels of one raster."""

    def read(self, window: Window) -> NDArray[Any]:
        """What the pixels of a window are, as `Sample.mask` has it."""


class ClassRaster:
    """Class ids from a raster of values or colours."""

    def __init__(self, raster: LabelRaster, values: ValueMap, ignored: int) -> None:
        self._raster, self._values, self._ignored = raster, values, ignored

    def read(self, window: Window) -> NDArray[Any]:
        """See `Labels`."""
        raster, values = self._raster, self._values
        samples, gone = raster.read(window)
        if values.by_colour:
            samples = raster.coloured(samples)
        if len(samples) not in GREY_OR_COLOUR:
            raise InputError(
                f"{raster.file}: has {len(samples)} bands; labels have one, or three of colour;"
                " save one band"
            )
        samples, unknown = whole_numbers(samples, raster.file)
        gone = gone | unknown
        some = next(iter(values.values), 0)
        colour = next(iter(values.colours), (some,) * 3)
        for band, value in zip(samples, colour, strict=False):
            band[gone] = value if len(samples) == 3 and values.colours else some
        raw = samples[0] if len(samples) == 1 else np.moveaxis(samples, 0, 2)
        nodata = raster.nodata
        known = nodata is not None and math.isfinite(nodata) and nodata == int(nodata)
        told = (int(nodata), self._ignored) if known and nodata is not None else None
        ids = values.apply(raw, raster.file, nodata=told).numpy()
        ids[gone] = self._ignored
        return ids


class NumberRaster:
    """Numbers from a raster, a band for each quantity."""

    def __init__(
        self, raster: LabelRaster, quantities: tuple[Quantity, ...], nodata: tuple[float, ...]
    ) -> None:
        self._raster, self._quantities = raster, quantities
        self._nodata = nodata if raster.nodata is None else (*nodata, raster.nodata)

    def read(self, window: Window) -> NDArray[Any]:
        """See `Labels`."""
        samples, gone = self._raster.read(window)
        if len(samples) != len(self._quantities):
            names = ", ".join(quantity.name for quantity in self._quantities)
            raise InputError(
                f"{self._raster.file}: has {len(samples)} bands, but values has"
                f" {len(self._quantities)} ({names}); name every band in `values:`"
            )
        values = measured(samples, self._quantities, self._nodata)
        values[:, gone] = np.nan
        return values


class OverlappingRaster:
    """Labels that overlap from one raster: a band or a set of colours for each."""

    def __init__(self, raster: LabelRaster, reader: LabelReader) -> None:
        self._raster, self._reader = raster, reader

    def read(self, window: Window) -> NDArray[Any]:
        """See `Labels`."""
        raster, reader = self._raster, self._reader
        samples, gone = raster.read(window)
        if reader.how.how == "colours":
            samples = raster.coloured(samples)
            samples[:, gone] = 0  # black is no label
            raw = samples[0] if len(samples) == 1 else np.moveaxis(samples, 0, 2)
            labels = reader.colours_of(raw, raster.file)
        else:
            samples[:, gone] = next(iter(reader.how.values))
            labels = reader.bands_of(samples, raster.file, raster.nodata)
        labels[:, gone] = reader.ignore_index
        return labels


class OneLabelRaster:
    """One of several labels, from a raster of its own."""

    def __init__(self, raster: LabelRaster, reader: LabelReader) -> None:
        self._raster, self._reader = raster, reader

    def read(self, window: Window) -> NDArray[Any]:
        """The label (h, w) of a window."""
        samples, gone = self._raster.read(window)
        samples[:, gone] = next(iter(self._reader.how.values))
        label = self._reader.one_of(samples, self._raster.file, self._raster.nodata)
        label[gone] = self._reader.ignore_index
        return label


class Burnt:
    """One number per pixel, burnt from features: a class id, a label, or what is measured.

    Args:
        burner: Of the features.
        around: What stands outside of them.
        dtype: Of the numbers.
    """

    def __init__(self, burner: Burner, around: int | float, dtype: type[Any] = np.int64) -> None:
        self.burner, self._around, self._dtype = burner, around, dtype

    def read(self, window: Window) -> NDArray[Any]:
        """What the pixels (h, w) of a window are."""
        target = np.full((window.height, window.width), self._around, self._dtype)
        self.burner.burn(target, window)
        return target


class Stacked:
    """Labels that overlap, each from its own file or features."""

    def __init__(self, labels: Sequence[Labels | int]) -> None:
        self._labels = tuple(labels)

    def read(self, window: Window) -> NDArray[Any]:
        """See `Labels`."""
        size = window.height, window.width
        return np.stack(
            [
                np.full(size, one, np.int64) if isinstance(one, int) else one.read(window)
                for one in self._labels
            ]
        )


class Measured:
    """A number that is burnt, in its unit."""

    def __init__(
        self, burnt: Burnt, quantities: tuple[Quantity, ...], nodata: tuple[float, ...]
    ) -> None:
        self._burnt, self._quantities, self._nodata = burnt, quantities, nodata

    def read(self, window: Window) -> NDArray[Any]:
        """See `Labels`."""
        return measured(self._burnt.read(window)[None], self._quantities, self._nodata)


def whole_numbers(samples: NDArray[Any], file: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values as whole numbers that may be written to, and where they are NaN."""
    if samples.dtype.kind in "biu":
        nowhere = np.zeros(samples.shape[1:], np.bool_)
        return samples.astype(np.uint8) if samples.dtype.kind == "b" else samples, nowhere
    unknown = ~np.isfinite(samples).all(axis=0)
    kept = np.where(unknown, 0, samples)
    if samples.dtype.kind != "f" or (kept % 1 != 0).any():
        raise InputError(
            f"{file}: holds {samples.dtype}, not whole numbers; save class ids, or write `values:`"
            " for numbers"
        )
    return kept.astype(np.int64), unknown


def classes_of(config: RastersConfig, entry: Entry, features: Features) -> NDArray[np.int64]:
    """The class id, or the ignore index, of each feature of a file.

    Raises:
        InputError: A feature is of no class, or nobody says of which.
    """
    names = config.classes.names
    if features.field is None:
        value = entry.value
        if value is None:
            if len(names) != 2 or config.overlapping is not None:
                raise InputError(
                    f"{features.file}: nothing says of which class its features are; write `field:`"
                    " or `value:` beside it"
                )
            value = 1
        return np.full(_count(features), int(value), np.int64)
    found = np.zeros(len(features.field), np.int64)
    lacking: dict[str, int] = {}
    meant: dict[str, int | None] = {}
    for row in np.unique(features.rows).tolist():
        word = _word(features.field[row])
        if word not in meant:
            meant[word] = _meant(config, word)
        target = meant[word]
        if target is None:
            lacking[word] = lacking.get(word, 0) + 1
        else:
            found[row] = target
    if lacking:
        word, count = max(lacking.items(), key=lambda pair: pair[1])
        told = repr(word) if word else "an empty field"
        raise InputError(
            f"{features.file}: {entry.field} has {told} in {count} features, which is no class"
            f" ({suggestion(word, names)}); add it to names, or say under `map:` what it means,"
            f" e.g. {word or 'null'}: ignore"
        )
    return found


def numbers_of(entry: Entry, features: Features) -> NDArray[np.float64]:
    """The number of each feature, NaN where it has none."""
    if features.field is None:
        if entry.value is None:
            raise InputError(
                f"{features.file}: nothing says which numbers its features have; write `field:` or"
                " `value:` beside it"
            )
        return np.full(_count(features), float(entry.value))
    try:
        return np.array([math.nan if v is None else float(v) for v in features.field])
    except (TypeError, ValueError):
        some = next(v for v in features.field if isinstance(v, str))
        raise InputError(
            f"{features.file}: {entry.field} has {some!r}, which is no number; name another field"
        ) from None


def _count(features: Features) -> int:
    return int(features.rows.max(initial=-1)) + 1


def _word(value: Any) -> str:
    """What a field says, as it would be written."""
    if value is None or value != value:
        return ""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _meant(config: RastersConfig, word: str) -> int | None:
    if word in config.words:
        return config.words[word]
    if word in config.classes.names:
        return config.classes.names.index(word)
    number = word.removeprefix("-")
    if not number.isdecimal():
        return None
    if config.overlapping is not None:
        return int(word) if 0 <= int(word) < len(config.classes) else None
    return config.values.values.get(int(word))
