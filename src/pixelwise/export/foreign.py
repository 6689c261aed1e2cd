"""What is known of a file of somebody else: a JSON file beside it, or the keys of Deepness.

    {"names": ["grass", "tree"], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

beside other.onnx as other.json. The input is `(raw / scale - mean) / std`; other entries are those
of a network's config.json (`task`, `scale`, `palette`, `bands`, `nodata`, ...), and `output`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelwise.errors import InputError, suggestion
from pixelwise.export.metadata import OUTPUTS, About
from pixelwise.export.outputs import kind_of
from pixelwise.export.runner import Input, Runner
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.config_file import entries

STATED = (
    *("names", "mean", "std", "scale", "task", "task_options", "palette", "bands", "nodata"),
    *("ignore_index", "output", "dtype", "values"),
)
USUAL: Mapping[str, Any] = {
    "output_stride": None,
    "attention": "none",
    "convolution": "none",
    "multi_grid": None,
    "backbone_options": {},
    "options": {},
    "align_corners": None,
    "insert": [],
    "names": [],
    "palette": [],
    "ignore_index": 255,
    "mean": [],
    "std": [],
    "scale": 255.0,
    "bands": None,
    "task": "multiclass",
}
TRIED = 64
"""Pixels of a side of the noise that it is tried on, where its size is free."""


def stated_beside(path: Path) -> dict[str, Any] | None:
    """What the JSON file beside a file says; None: there is none."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return None
    found = entries(beside)
    for name in found:
        if name not in STATED:
            raise InputError(f"{beside}: unknown entry {name!r}; {suggestion(name, STATED)}")
    return found


def of_deepness(told: Mapping[str, str]) -> dict[str, Any] | None:
    """What the keys of QGIS' Deepness say; None: they are not there."""
    try:
        read = {key: json.loads(told[key]) for key in told if key.startswith("standardization_")}
        names = json.loads(told["class_names"])
        ordered = [str(names[number]) for number in sorted(names, key=int)]
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    mean, std = (read.get(f"standardization_{name}") for name in ("mean", "std"))
    return {"names": ordered, "mean": mean or 0.0, "std": std or 1.0}


def about_of(runner: Runner, path: Path | None, stated: Mapping[str, Any] | None) -> About:
    """What a file is that does not say it in our way.

    Args:
        runner: The opened file.
        path: Where it is.
        stated: What is known; None: what stands beside the file, or in the keys of Deepness.

    Raises:
        InputError: Too little is known, or it does not fit the file.
    """
    where = Path(runner.name) if path is None else path
    beside = where.with_suffix(".json")
    if stated is None and path is not None:
        stated = stated_beside(path)
    if stated is None:
        stated = of_deepness(runner.told)
    if stated is None:
        raise InputError(
            f"{where}: says nothing of its classes and input; write {beside.name} beside it:"
            ' {"names": [...], "mean": [...], "std": [...]}'
        )
    for name in ("mean", "std"):
        if name not in stated and not _whole(runner.input):
            raise InputError(
                f"{beside}: {name} is missing; give one per band of raw / 255, 0 and 1 where there"
                " is none"
            )
    mean = stated.get("mean", 0.0)
    bands = runner.input.bands or (len(mean) if isinstance(mean, Sequence) else 3)
    given: dict[str, Any] = {"mean": 0.0, "std": 1.0}
    given |= {name: value for name, value in stated.items() if name != "output"}
    for name in ("mean", "std"):
        if isinstance(given[name], int | float):
            given[name] = [given[name]] * bands
    sample = _sample(runner.input, bands)
    found = runner(sample, torch.device("cpu"))
    if runner.input.bands_last and found.ndim == 4:
        found = found.movedim(-1, 1)
    task, names = given.get("task", "multiclass"), given.get("names", [])
    several = found.ndim == 4 and found.is_floating_point()
    count = found.shape[1] if several else len(names)
    if several and count == 1 and task == "multiclass":
        given["task"] = task = "binary"
    if task == "binary":
        count = 1
    if not count:
        raise InputError(f"{beside}: names are missing, of {where.name}'s classes; give them")
    config = ModelConfig.read(
        {
            **USUAL,
            **given,
            "arch": where.name,
            "backbone": runner.kind,
            "num_classes": count,
            "in_channels": bands,
        },
        beside,
    )
    output = stated.get("output", kind_of(found, config))
    if output not in OUTPUTS:
        raise InputError(
            f"{beside}: output={output!r}: must be one of {', '.join(OUTPUTS)}; correct it"
        )
    return About(config, normalises=False, output=output)


def _whole(given: Input) -> bool:
    """Whether it takes whole numbers, which are raw."""
    return not given.dtype.is_floating_point


def _sample(given: Input, bands: int) -> Tensor:
    """Noise as the file takes it, always the same."""
    noise = torch.rand(
        (given.batch or 1, bands, given.height or TRIED, given.width or TRIED),
        generator=torch.Generator().manual_seed(0),
    )
    if _whole(given):
        noise = noise * 255
    noise = noise.to(given.dtype)
    return noise.movedim(1, -1).contiguous() if given.bands_last else noise
