"""Reading `config.json`: every entry has its type and its range, and none may be missing.

A file that a person edited says something else than the network was trained with; what is wrong
with it is told by the name of the file and of the entry.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise.checks import in_range
from pixelwise.errors import InputError, suggestion
from pixelwise.kinds import KINDS, described, fits_type

MOST_CLASSES = 65_535
"""As many as an index mask of 16 bits can hold, one value left for pixels to ignore."""
MOST_BANDS = 4096
FIRST = "bands"
"""The last entry that every saved network has: those after it came later, and may be missing."""


def entries(path: Path) -> dict[str, Any]:
    """The entries of a file of JSON.

    Raises:
        InputError: It cannot be read, or is no such file.
    """
    try:
        found = json.loads(
            path.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=float
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    except (ValueError, RecursionError) as error:
        told = str(error).splitlines()[0]
        raise InputError(f"{path}: is not JSON ({told}); {expected()}") from error
    if not isinstance(found, dict):
        kind = KINDS.get(type(found), "a list")
        raise InputError(f"{path}: must be a mapping, got {kind}; {expected()}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        found[name] = value
    return found


def expected() -> str:
    """What to do."""
    return "take the config.json that save_pretrained wrote"


def check_entries(path: Path, found: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raise for the first entry that is unknown, missing or of another type.

    Args:
        path: The file, for the message.
        found: What it holds.
        hints: The names of the entries and their types, in order.
    """
    for name in found:
        if name not in hints:
            raise InputError(f"{path}: unknown entry {name!r}; {suggestion(name, hints)}")
    needed = list(hints)[: list(hints).index(FIRST) + 1]
    for name in needed:
        if name not in found:
            raise InputError(f"{path}: {name} is missing; {expected()}")
    for name, value in found.items():
        if not fits_type(value, hints[name]):
            rule = described(hints[name])
            raise InputError(f"{path}: {name}={shown(value)}: must be {rule}; {expected()}")


def check_counts(num_classes: int, in_channels: int) -> None:
    """Raise for counts that no network has."""
    in_range(1, MOST_CLASSES, num_classes=num_classes)
    in_range(1, MOST_BANDS, in_channels=in_channels)


def shown(value: Any) -> str:
    """A value as an error shows it, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def check_ranges(config: Any) -> None:
    """Raise for the first value of a `ModelConfig` that no network was trained with."""
    in_range(-255, MOST_CLASSES, ignore_index=config.ignore_index)
    in_range(1, 1024, multi_grid=min(config.multi_grid or (1,)))
    in_range(1, 1024, multi_grid=max(config.multi_grid or (1,)))
    counts = {config.num_classes, 2} if config.num_classes == 1 else {config.num_classes}
    for name in ("names", "palette"):
        given = getattr(config, name)
        if given and len(given) not in counts:
            raise InputError(
                f"{name}: must be one per class ({config.num_classes}), got {len(given)};"
                f" {expected()}"
            )
    doubled = next((n for n in config.names if config.names.count(n) > 1), None)
    if doubled is not None:
        raise InputError(f"names: {doubled!r} stands for two classes; name each once")
    in_range(0, 255, palette=min((v for c in config.palette for v in c), default=0))
    in_range(0, 255, palette=max((v for c in config.palette for v in c), default=0))
    if config.bands is not None:
        if len(config.bands) != config.in_channels or len(set(config.bands)) < len(config.bands):
            raise InputError(
                f"bands={shown(config.bands)}: must name {config.in_channels} bands, each once;"
                f" {expected()}"
            )
        in_range(0, MOST_BANDS, bands=min(config.bands))
        in_range(0, MOST_BANDS, bands=max(config.bands))
