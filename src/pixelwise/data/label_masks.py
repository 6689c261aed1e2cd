"""From mask files to labels: int64 (k, h, w), 1 where a label is, 0 where it is not, or ignored."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from pixelwise.data.overlapping import WHITE, Overlapping
from pixelwise.data.reading import read_header, read_mask, read_mask_nodata, read_numbers
from pixelwise.errors import InputError

UNKNOWN = -1
SHOWN = 8


class LabelReader:
    """Reads masks of one data set.

    Where 0, 1 and 255 stand in masks and nobody says what they mean, 1 and 255 both mean "there",
    but not both in one data set: one of them is likely to mean something else.

    Args:
        how: How masks hold labels.
        names: Of the labels.
        ignore_index: What stands for "not known".
        written_in: The data.yaml, for messages.
        max_megapixels: Larger bitmaps are refused.
    """

    def __init__(
        self,
        how: Overlapping,
        names: Sequence[str],
        ignore_index: int,
        written_in: Path,
        max_megapixels: float,
    ) -> None:
        self.how, self.names, self.ignore_index = how, tuple(names), ignore_index
        self.written_in, self.max_megapixels = written_in, max_megapixels
        self._there: dict[int, Path] = {}

    def one(self, file: Path) -> Int64[ndarray, "h w"]:
        """The mask of one label."""
        raw = read_numbers(file, self.max_megapixels)
        return self.one_of(raw, file, read_mask_nodata(file))

    def one_of(self, raw: ndarray, file: Path, nodata: float | None) -> Int64[ndarray, "h w"]:
        """What the numbers (bands, h, w) of the mask of one label mean."""
        if len(raw) in (3, 4) and (raw[:3] == raw[:1]).all():  # grey that was saved as colour
            raw = raw[:1]
        if len(raw) != 1:
            raise InputError(
                f"{file}: has {len(raw)} bands or is coloured, but holds one label; save one band,"
                " or write `overlapping: bands` or `colours`"
            )
        return self._labels(raw[0], file, self._values(nodata))

    def bands(self, file: Path) -> Int64[ndarray, "k h w"]:
        """The mask of all labels, a band for each."""
        raw = read_numbers(file, self.max_megapixels)
        return self.bands_of(raw, file, read_mask_nodata(file))

    def bands_of(self, raw: ndarray, file: Path, nodata: float | None) -> Int64[ndarray, "k h w"]:
        """What the numbers of the mask of all labels mean."""
        if len(raw) != len(self.names):
            npy = " (an NPY has rows, columns, labels)" if file.suffix.lower() == ".npy" else ""
            raise InputError(
                f"{file}: has {len(raw)} bands{npy}, but names has {len(self.names)}"
                f" ({', '.join(self.names)}); save a band for each label"
            )
        values = self._values(nodata)
        return np.stack([self._labels(band, file, values) for band in raw])

    def colours(self, file: Path) -> Int64[ndarray, "k h w"]:
        """The mask of all labels, in colours."""
        header = read_header(file, self.max_megapixels)
        if header.dtype == "uint16" and header.bands == 1:
            raise InputError(f"{file}: is grey of 16 bits; save the mask in colour with 8 bits")
        raw = read_mask(file, colours=True, max_megapixels=self.max_megapixels)
        return self.colours_of(raw, file)

    def colours_of(self, raw: ndarray, file: Path) -> Int64[ndarray, "k h w"]:
        """What the colours (h, w, 3), or the grey (h, w), of the mask of all labels mean."""
        if raw.dtype != np.uint8:
            raise InputError(f"{file}: holds {raw.dtype}; save its colours with 8 bits")
        if raw.ndim == 2:
            raw = np.repeat(raw[..., None], 3, axis=2)
        red, green, blue = np.moveaxis(raw.astype(np.int64), 2, 0)
        codes, place, counts = np.unique(
            red << 16 | green << 8 | blue, return_inverse=True, return_counts=True
        )
        known = {r << 16 | g << 8 | b: labels for (r, g, b), labels in self.how.colours.items()}
        pairs = list(zip(codes.tolist(), counts.tolist(), strict=True))
        strange = [(f'"#{code:06x}"', n) for code, n in pairs if code not in known]
        if strange:
            raise InputError(
                f"{file}: has colours that `colours:` in {self.written_in} does not list:"
                f" {_listed(strange)}; add them, each with its labels or ignore"
            )
        table = np.zeros((len(codes), len(self.names)), np.int64)
        for row, (code, _) in zip(table, pairs, strict=True):
            labels = known[code]
            row[:] = self.ignore_index if labels is None else 0
            row[list(labels or ())] = 1
        return np.ascontiguousarray(np.moveaxis(table[place.reshape(raw.shape[:2])], 2, 0))

    def _values(self, told: float | None) -> dict[int, int]:
        """What raw values of a file mean: its own "no data" too, where that is not stated."""
        values = dict(self.how.values)
        if told is not None and math.isfinite(told) and told % 1 == 0:
            if self.how.stated or told in (0, 1):
                values.setdefault(int(told), self.ignore_index)
            else:
                values[int(told)] = self.ignore_index
        return values

    def _labels(self, raw: ndarray, file: Path, values: dict[int, int]) -> Int64[ndarray, "h w"]:
        raw = raw.astype(np.uint8) if raw.dtype == np.bool_ else raw
        if raw.dtype == np.uint8:
            found = np.flatnonzero(np.bincount(raw.ravel(), minlength=256))
            table = np.array([values.get(value, UNKNOWN) for value in range(256)], np.int64)
            labels = table[raw]
        else:
            found, place = np.unique(raw, return_inverse=True)
            targets = np.array([self._target(value, values) for value in found.tolist()], np.int64)
            labels = targets[place.reshape(raw.shape)]
        if (strange := labels == UNKNOWN).any():
            raise self._strange(raw[strange], file)
        if not self.how.stated:
            self._check_notation({int(v) for v in found.tolist() if v in (1, WHITE)}, values, file)
        return labels

    def _target(self, value: int | float, values: dict[int, int]) -> int:
        if value != value:  # NaN
            return self.ignore_index
        return values.get(int(value), UNKNOWN) if np.isfinite(value) and value % 1 == 0 else UNKNOWN

    def _check_notation(self, there: set[int], values: dict[int, int], file: Path) -> None:
        for value in sorted(v for v in there if values[v] == 1):
            self._there.setdefault(value, file)
        if len(self._there) > 1:
            one, white = self._there[1], self._there[WHITE]
            where = str(file) if one == white else f"{one} has 1, {white} 255"
            raise InputError(
                f"{where}: both 1 and 255 are in the masks; say what they mean in"
                f" {self.written_in}, e.g. map: {{0: 0, 1: 1, 255: ignore}}"
            )

    def _strange(self, raw: Any, file: Path) -> InputError:
        found, counts = np.unique(raw, return_counts=True)
        listed = _listed(
            [(f"{v:g}", n) for v, n in zip(found.tolist(), counts.tolist(), strict=True)]
        )
        stated = f"`map:` in {self.written_in}" if self.how.stated else "0 and 1, or 0 and 255"
        first = found[0].item()
        remedy = "save 0 and 1, and NaN where nothing is known"
        if first % 1 == 0:
            rest = "" if self.how.stated else "0: 0, 1: 1, "
            remedy = f"say what they mean, e.g. map: {{{rest}{first:g}: ignore}}"
        return InputError(f"{file}: has values other than {stated}: {listed}; {remedy}")


def _listed(pairs: list[tuple[str, int]]) -> str:
    """Values with their counts, not too many."""
    more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return ", ".join(f"{value} ({count} pixels)" for value, count in pairs[:SHOWN]) + more
