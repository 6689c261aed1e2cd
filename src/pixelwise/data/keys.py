"""Values of a data.yaml that every kind of data set has."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.errors import InputError


@contextmanager
def told_with(file: Path) -> Iterator[None]:
    """Errors inside name the data.yaml; a name that no file can have is one, too."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not isinstance(error, InputError):
            told = getattr(error, "strerror", None) or error
            raise InputError(
                f"{file}: a place in it cannot be read ({told}); check its paths"
            ) from None
        at = str(file)
        raise (error if at in str(error) else InputError(f"{at}: {error}")) from None


def root(file: Path, content: Mapping[str, Any]) -> Path:
    """The folder that a data set's places are relative to."""
    if "path" not in content:
        return file.parent
    path = content["path"]
    if not isinstance(path, str) or not path:
        raise InputError(f"path={path!r}: must be text; write a folder, or leave it out")
    return file.parent / path


def bands(value: object) -> tuple[int, ...] | None:
    """The numbers of the bands to read; None: all."""
    if value is None:
        return None
    if isinstance(value, list) and value and all(type(v) is int and v >= 0 for v in value):
        return tuple(value)
    raise InputError(f"bands={value!r}: must list numbers of bands from 0; e.g. [0, 1, 2]")


def scale(value: object) -> float | None:
    """The raw value of white; None: not told."""
    if value is None:
        return None
    number = as_float(value)
    if number is not None and 0 < number < math.inf:
        return number
    raise InputError(f"scale={value!r}: must be a number above 0; give the raw value of white")


def nodata(value: object, key: str = "nodata") -> tuple[float, ...]:
    """The finite values that mean "no data"."""
    if value is None:
        return ()
    numbers = tuple(map(as_float, value if isinstance(value, list) else [value]))
    known = tuple(number for number in numbers if number is not None)
    if len(known) < len(numbers):
        raise InputError(f"{key}={value!r}: must be a number, or a list of some; e.g. -9999")
    return tuple(number for number in known if math.isfinite(number))  # the others never are data


def as_float(value: object) -> float | None:
    """A number as YAML has it; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def max_megapixels(value: object) -> float:
    """The size above which pictures are refused."""
    if value is None:
        return MAX_MEGAPIXELS
    number = as_float(value)
    if number is None or not number > 0:
        raise InputError(f"max_megapixels={value!r}: must be a number above 0; e.g. 500")
    return number


def whole_number(content: Mapping[str, Any], key: str, default: int) -> int:
    """A whole number."""
    value = content.get(key, default)
    if type(value) is not int:
        raise InputError(f"{key}={value!r}: must be a whole number; e.g. {default}")
    return value


def text(content: Mapping[str, Any], key: str, default: str | None) -> Any:
    """Text, or None where there is none."""
    value = content.get(key, default)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key}={value!r}: must be text; write one folder")
    return value
