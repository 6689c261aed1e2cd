"""How often a user wants to see each class: read before torch is loaded."""

import math
from collections.abc import Mapping
from typing import Any

from pixelwise.errors import InputError

LEAST = 0.001
"""The smallest share: a crop in a thousand."""


def read_shares(balance: str | Mapping[Any, Any]) -> str | dict[str, float]:
    """Class -> share of the crops, from a mapping or text as "a=0.3, b=0.2"; or none, or auto.

    Raises:
        InputError: Anything else, a share outside 0.001..1, or shares that add up to more than 1.
    """
    if balance in ("none", "auto"):
        return str(balance)
    pairs = dict(balance) if isinstance(balance, Mapping) else _from_text(balance)
    if not pairs:
        raise InputError("balance={}: names no class; write class: share, auto or none")
    shares = {str(name): _share(name, value) for name, value in pairs.items()}
    if len(shares) < len(pairs):
        raise InputError(f"balance={pairs}: names a class twice; keep one")
    if (total := math.fsum(shares.values())) > 1 + 1e-9:
        raise InputError(
            f"balance: the shares add up to {total:g}; lower them to 1 at most, what is left are"
            " crops as they come"
        )
    return shares


def _from_text(text: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for part in text.strip().strip("{}").split(","):
        name, sign, value = part.rpartition("=") if "=" in part else part.rpartition(":")
        name = name.strip()
        if not sign or not name:
            raise InputError(
                f"balance={text!r}: must be none, auto or shares by class; e.g. 'car=0.3, sign=0.2'"
            )
        if name in pairs:
            raise InputError(f"balance={text!r}: names {name!r} twice; keep one")
        try:
            pairs[name] = float(value)
        except ValueError:
            pairs[name] = value.strip()
    return pairs


def _share(name: object, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST <= value <= 1:
        raise InputError(
            f"balance: {name}={value!r}: must be a share of the crops from {LEAST:g} to 1; e.g. 0.3"
        )
    return float(value)
