"""How much of the decoded pictures is kept, and where: read before torch is loaded."""

import math
import re
from dataclasses import dataclass

from pixelwise.errors import InputError

UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
PLACES = ("memory", "disk")


@dataclass(frozen=True)
class CacheSize:
    """A place, "memory" or "disk", and the most bytes that are kept there."""

    place: str
    most: int


def read_cache(text: str) -> CacheSize | None:
    """From "none", "memory:2GB" or "disk:20GB".

    Raises:
        InputError: Anything else.
    """
    if text == "none":
        return None
    found = re.fullmatch(r"(memory|disk):\s*(\d+(?:\.\d+)?)\s*(MB|GB|TB)", text, re.IGNORECASE)
    number = float(found[2]) if found else 0.0
    if found is None or not 0 < number < math.inf:
        raise InputError(f"cache={text!r}: must be none, memory:SIZE or disk:SIZE; e.g. memory:2GB")
    return CacheSize(found[1].lower(), max(1, int(number * UNITS[found[3].upper()])))
