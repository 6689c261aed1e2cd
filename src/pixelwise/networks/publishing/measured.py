"""What a run's folder says of a network: data, recipe, scores."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelwise.data.drawn import is_drawn
from pixelwise.errors import InputError
from pixelwise.sharing import OF_THE_MACHINE, cleaned, without_place
from pixelwise.yaml_files import read

SCORES = ("evaluate/test/metrics.json", "evaluate/val/metrics.json", "metrics.json")
"""From the fullest to the one that every run has; of test and val, test is what others ask for."""
OF_THE_PLACE = (
    "data", "name", "workers", "device", "checkpoint_every", "check_data", "validations", "window",
)  # fmt: skip
"""Settings that no recipe needs."""


@dataclass(frozen=True)
class Measured:
    """What is known beside the network itself; all of it may be empty.

    Args:
        data: Name of the data set.
        recipe: Setting -> value, those that are set.
        scores: As the evaluation wrote them.
        split: What was evaluated.
        evaluated: Name of the data set that this is a split of.
    """

    data: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    split: str = "val"
    evaluated: str = ""


def measured(run: Path | None) -> Measured:
    """What the files of a run say; those that cannot be read are passed over."""
    if run is None:
        return Measured()
    settings: Mapping[Any, Any] = {}
    with suppress(InputError):
        settings = read(run / "config.yaml")
    plain = {str(name): value for name, value in settings.items()}
    recipe = {k: v for k, v in cleaned(plain).items() if v not in (None, "", "auto")}
    recipe = {k: v for k, v in recipe.items() if k not in (*OF_THE_MACHINE, *OF_THE_PLACE)}
    scores = dict(_scores(run))
    data = data_name(str(plain.get("data") or ""))
    evaluated = scores.pop("data", None)
    split = str(scores.pop("split", "val"))
    of = data if evaluated is None else data_name(str(evaluated))
    return Measured(data, recipe, scores, split, of)


def data_name(data: str) -> str:
    """What people call a data set, from where it lies: the folder, without the way there."""
    if is_drawn(data):
        return data
    parts = [part for part in without_place(data).replace("\\", "/").split("/") if part.strip(".")]
    if parts and "." in parts[-1]:
        parts = parts[:-1] or [parts[-1].rpartition(".")[0]]
    return parts[-1] if parts else ""


def _scores(run: Path) -> Mapping[str, Any]:
    for name in SCORES:
        with suppress(OSError, ValueError):
            found = json.loads((run / name).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
    return {}
