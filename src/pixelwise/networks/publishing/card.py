"""The model card: YAML for the Hub, then Markdown for people."""

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub import EvalResult, ModelCardData
from torch import nn

from pixelwise.checks import parse_size
from pixelwise.cost.operations import flops, parameters
from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig, as_text
from pixelwise.networks.files import UNBUILT
from pixelwise.networks.publishing.measured import Measured
from pixelwise.yaml_files import to_text

TAGS = {
    "multiclass": "image-segmentation",
    "binary": "image-segmentation",
    "multilabel": "image-segmentation",
    "keypoints": "keypoint-detection",
    "regression": "image-to-image",
}
"""Task -> pipeline of the Hub; numbers that are called depth have one of their own."""
METRICS = {"miou": "mean_iou"}
"""Names of scores as the Hub has them."""
SHARES = ("iou", "precision", "recall", "f1", "average_precision", "dice", "miou", "accuracy")
"""Scores that are told in percent."""
NO_SCORES = ("best_step", "steps", "seconds", "validation_pictures", "threshold", "pictures")
MOST_METRICS = 8
SIZE = (512, 512)
"""Of the picture whose cost is told, where the run had no crop of its own."""


@dataclass(frozen=True)
class Stated:
    """What only its owner can say of a network.

    Args:
        name: OWNER/NAME on the Hub.
        licence: As the Hub names it; None is said to be not stated.
        pictures: Files beside the card -> what they show.
    """

    name: str
    licence: str | None
    pictures: Mapping[str, str]


def card(model: nn.Module, config: ModelConfig, found: Measured, stated: Stated) -> str:
    """The text of README.md."""
    parts = [
        f"---\n{_head(config, found, stated)}\n---",
        f"# {stated.name.partition('/')[2]}",
        _summary(config, found),
        f"## Use\n\n{_use(config, stated.name)}",
        f"## {'Classes' if config.task != 'keypoints' else 'Points'} and scores\n\n"
        + _scores(config, found),
        *(f"![{what}]({file})" for file, what in stated.pictures.items()),
        f"## Input\n\n{_input(config)}",
        f"## Cost\n\n{_cost(model, config, found)}",
        *_recipe(found),
        f"## Licence\n\n{_licence(stated.licence)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(config: ModelConfig, found: Measured, stated: Stated) -> str:
    pipeline = TAGS.get(config.task, "image-to-image")
    if config.task == "regression" and any("depth" in name.lower() for name in config.names):
        pipeline = "depth-estimation"
    layers = [key for key, _ in config.attention.values()]
    tags = dict.fromkeys(["pixelwise", "pytorch", config.task, config.arch, *layers])
    data = found.evaluated or found.data or "not stated"
    results = [
        EvalResult(
            task_type=pipeline,
            dataset_type=re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-") or "own",
            dataset_name=data,
            dataset_split=found.split,
            metric_type=METRICS.get(name, name),
            metric_name=name,
            metric_value=round(value, 6),
        )
        for name, value in _numbers(found.scores)
    ]
    about: dict[str, Any] = {
        "library_name": "pixelwise",
        "pipeline_tag": pipeline,
        "tags": list(tags),
        **({} if stated.licence is None else {"license": stated.licence}),
        **({"license_name": "see-model-card"} if stated.licence == "other" else {}),
    }
    if results:
        about |= {"model_name": stated.name.partition("/")[2], "eval_results": results}
    return ModelCardData(**about).to_yaml().strip()


def _numbers(scores: Mapping[str, Any]) -> list[tuple[str, float]]:
    found = [
        (name, float(value))
        for name, value in scores.items()
        if name not in NO_SCORES and _is_number(value)
    ]
    return found[:MOST_METRICS]


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)


def _summary(config: ModelConfig, found: Measured) -> str:
    attention = f" with `{as_text(config.attention)}`" if config.attention else ""
    what = {"keypoints": "named points", "regression": "numbers per pixel"}.get(
        config.task, f"{config.num_classes} classes per pixel"
    )
    if config.task == "multilabel":
        what = f"{config.num_classes} labels per pixel"
    data = f" Trained on {_plain(found.data)}." if found.data else ""
    return (
        f"`{config.arch}`{attention} on `{config.backbone}`, for {what} (task `{config.task}`)."
        f"{data} Made with pixelwise."
    )


def _use(config: ModelConfig, name: str) -> str:
    size = "256, 256"
    return f"""```sh
pixelwise predict {name} PICTURES --out FOLDER
```

```python
import pixelwise
import torch

model = pixelwise.load("{name}")
image = torch.rand(1, {config.in_channels}, {size})  # raw values / {config.scale:g}
mean = torch.tensor(model.config.mean)[:, None, None]
std = torch.tensor(model.config.std)[:, None, None]
with torch.no_grad():
    answer = model.answer(model((image - mean) / std))
```"""


def _scores(config: ModelConfig, found: Measured) -> str:
    names = config.names or tuple(str(n) for n in range(config.num_classes))
    columns = dict(_columns(found.scores, names))
    if not columns:
        listed = ", ".join(map(_plain, names))
        return f"{listed}.\n\nThis network was not evaluated here." + _means(found)
    heads = ["", *columns]
    lines = [_row(heads), _row(["---", *["---:"] * len(columns)])]
    lines += [
        _row([_plain(name), *(c[i] for c in columns.values())]) for i, name in enumerate(names)
    ]
    of = f" of {_plain(found.evaluated)}" if found.evaluated else ""
    told = f"On the split `{found.split}`{of}; shares in %."
    if any("interval" in name for name in columns):
        told += " Intervals: 95 %, bootstrapped over pictures."
    return f"{told}\n\n" + "\n".join(lines) + _means(found)


def _means(found: Measured) -> str:
    lines = []
    for name, value in _numbers(found.scores):
        shown = _share(value) + " %" if name in SHARES else f"{value:.4g}"
        ends = _interval(found.scores.get(f"{name}_interval"))
        lines.append(f"- {name}: {shown}" + (f" ({ends})" if ends else ""))
    return "\n\n" + "\n".join(lines) if lines else ""


def _columns(scores: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The scores that each class has, as text; an interval stands beside its score."""
    for name, each in scores.items():
        if name.endswith("_interval") or not _is_of(each, names):
            continue
        values = [each[of] for of in names]
        if all(value is None or _is_number(value) for value in values):
            told = _share if name in SHARES or name.startswith("boundary") else _count
            yield name.replace("_", " "), [told(value) for value in values]
        ends = scores.get(f"{name}_interval")
        if isinstance(ends, Mapping) and _is_of(ends, names):
            yield f"{name} interval", [_interval(ends[of]) for of in names]


def _is_of(each: Any, names: Sequence[str]) -> bool:
    return isinstance(each, Mapping) and {*names} <= {*each}


def _share(value: int | float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _count(value: int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _interval(ends: Any) -> str:
    if not isinstance(ends, list) or len(ends) != 2 or not all(map(_is_number, ends)):
        return ""
    return f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text of others, so that it is neither a table's border nor any markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _input(config: ModelConfig) -> str:
    kind = f"{config.dtype} " if config.dtype else ""
    bands = f"{config.in_channels} bands" if config.in_channels != 1 else "1 band"
    lines = [
        f"- {kind}pictures of any size with {bands}; {config.scale:g} stands for 1",
        f"- mean {_listed(config.mean)}, standard deviation {_listed(config.std)}, after that",
    ]
    if config.values:
        low, *_, high = config.values
        lines.append(f"- the training pictures had values from {low:g}, and peaks up to {high:g}")
    return "\n".join(lines)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _cost(model: nn.Module, config: ModelConfig, found: Measured) -> str:
    size = SIZE
    with suppress(InputError):
        size = parse_size(crop=str(found.recipe.get("crop", "auto")))
    told = f"{parameters(model) / 1e6:.2f} M parameters"
    with suppress(*UNBUILT):
        shadow = copy.deepcopy(model).to("meta").eval()
        count = flops(shadow, torch.empty(1, config.in_channels, *size, device="meta"))
        told += (
            f"; {count / 2e9:.2f} GMACs ({count / 1e9:.2f} G multiplications and additions) for a"
            f" picture of {size[0]}x{size[1]}"
        )
    return f"{told}."


def _recipe(found: Measured) -> list[str]:
    if not found.recipe:
        return []
    told = "Settings for `pixelwise train --config`:"
    return [f"## Recipe\n\n{told}\n\n```yaml\n{to_text(dict(found.recipe))}```"]


def _licence(licence: str | None) -> str:
    if licence is None:
        return (
            "Not stated. Ask its owner before you use the weights; the pictures that it was trained"
            " on may have terms of their own."
        )
    told = "other: to be described here" if licence == "other" else licence
    return f"Of the weights: {told}. The pictures that it was trained on may have others."
