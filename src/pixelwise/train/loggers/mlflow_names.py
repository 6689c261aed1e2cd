"""Names of numbers as MLflow allows them."""

import re
from collections.abc import Iterable

LONGEST = 250
"""Letters of a name or value."""


def allowed(names: Iterable[str]) -> list[str]:
    """Names of numbers, of ASCII letters, digits and few signs, each name once."""
    found: list[str] = []
    for name in names:
        part, _, rest = name.partition("/")
        plain = f"{part}/{re.sub(r'[^A-Za-z0-9_. -]', '_', rest)}"[: LONGEST - 4]
        number = 2
        tried = plain
        while tried in found:
            tried, number = f"{plain}_{number}", number + 1
        found.append(tried)
    return found
