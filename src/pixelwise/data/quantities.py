"""What the numbers in masks measure: `values:` of a data.yaml.

values: [depth]                                             # names of the bands of the masks
values: {depth: {scale: 0.001, offset: 0, unit: m}}         # value = raw * scale + offset
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray

from pixelwise.data import keys
from pixelwise.data.missing import find_missing
from pixelwise.errors import InputError, unknown

ENTRIES = ("scale", "offset", "unit")


@dataclass(frozen=True)
class Quantity:
    """One band of the masks.

    Args:
        name: What it is called.
        scale: value = raw * scale + offset.
        offset: See `scale`.
        unit: Of the values; empty: none.
    """

    name: str
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""

    def measured(self, raw: Shaped[ndarray, "h w"], nodata: tuple[float, ...]) -> ndarray:
        """The values, float32; NaN where nothing is known."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = (raw.astype(np.float64) * self.scale + self.offset).astype(np.float32)
        if (unknown_at := find_missing(raw[None], nodata)) is not None:
            values[unknown_at] = np.nan
        values[~np.isfinite(values)] = np.nan
        return values

    def raw(self, value: float) -> float:
        """The number in the file that stands for a value."""
        return (value - self.offset) / self.scale


def measured(
    raw: Shaped[ndarray, "k h w"], quantities: tuple[Quantity, ...], nodata: tuple[float, ...]
) -> Float32[ndarray, "k h w"]:
    """All bands of a mask."""
    pairs = zip(quantities, raw, strict=True)
    return np.stack([quantity.measured(band, nodata) for quantity, band in pairs])


def parse_quantities(value: object) -> tuple[Quantity, ...]:
    """From `values:` of a data.yaml.

    Raises:
        InputError: Anything but names, or names with scale, offset and unit.
    """
    if isinstance(value, list):
        value = dict.fromkeys(_named(value))
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"values={value!r}: must name the bands of the masks; e.g. [depth], or"
            " {depth: {scale: 0.001, unit: m}}"
        )
    return tuple(
        _quantity(name, told) for name, told in zip(_named([*value]), value.values(), strict=True)
    )


def _named(names: list[Any]) -> list[str]:
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise InputError(f"values: {name!r} is no name; write a word, e.g. values: [depth]")
    told = [str(name) for name in names]
    if len(set(told)) < len(told):
        raise InputError(f"values={told}: must differ; rename one")
    return told


def _quantity(name: str, told: object) -> Quantity:
    if told is None:
        return Quantity(name)
    if not isinstance(told, dict):
        raise InputError(
            f"values: {name} is {told!r}; must be like {{scale: 0.001, offset: 0, unit: m}}; leave"
            " out what is usual"
        )
    for key in told:
        if key not in ENTRIES:
            raise unknown("key", str(key), ENTRIES, f"of {name}")
    scale = keys.as_float(told.get("scale", 1.0))
    offset = keys.as_float(told.get("offset", 0.0))
    if scale is None or not math.isfinite(scale) or scale == 0:
        raise InputError(
            f"scale={told['scale']!r}: of {name} must be a number other than 0; e.g. 0.001"
        )
    if offset is None or not math.isfinite(offset):
        raise InputError(f"offset={told['offset']!r}: of {name} must be a number; e.g. 0")
    unit = told.get("unit", "")
    if not isinstance(unit, str):
        raise InputError(f"unit={unit!r}: of {name} must be text; e.g. m")
    return Quantity(name, scale, offset, unit)
