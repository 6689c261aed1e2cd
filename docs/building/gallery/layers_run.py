"""Runs the plain form of a layer with several sizes, to see what it does."""

import functools
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from building.gallery.flow import Flow, Uneven, flow
from building.gallery.recording import record
from building.gallery.sizes import RUNS
from building.gallery.steps import Record
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.registry import create
from pixelwise.ops.running import choice
from pixelwise.ops.selective_scan import dispatch as scanning

Size = Mapping[str, int]
PLAIN = {name: "plain" for name, forms in choice.FORMS.items() if "plain" in forms}


@dataclass(frozen=True)
class Drawn:
    """The flow through a layer, and what a reader must know of it."""

    flow: Flow
    once: dict[str, int]
    """Options that repeat steps, with their defaults; they are drawn for one."""
    constants: dict[int, str]
    """Sizes that are options, and their names."""


@functools.cache
def layer_flow(cls: type[Layer]) -> Drawn:
    """The flow of data through a layer with its default options.

    Where its steps depend on the sizes, shapes are the numbers of one run.
    """
    sizes = _fitting(cls)
    first = _run(cls, {}, sizes[0])
    once = {}
    for option, default in _counts(cls).items():
        fewer = _tried(cls, {option: 1}, sizes[0])
        if fewer is not None and _repeats(fewer, first, default):
            once[option] = default
    options = dict.fromkeys(once, 1)
    runs = [_run(cls, options, size) for size in sizes]
    constants = _constants(cls, options, runs[0], sizes[0])
    try:
        return Drawn(flow(runs, constants, sizes), once, constants)
    except Uneven:
        return Drawn(flow(runs[:1], constants, sizes[:1]), once, constants)


def _fitting(cls: type[Layer]) -> list[Size]:
    """Sizes of runs; larger ones for layers that take multiples of a number only."""
    with torch.device("meta"):
        multiple = create(cls, RUNS[0]["c"]).limits.multiple
    factor = multiple // math.gcd(multiple, *(run[side] for run in RUNS for side in "hw"))
    return [{"c": run["c"], "h": run["h"] * factor, "w": run["w"] * factor} for run in RUNS]


def _tried(cls: type[Layer], options: dict[str, Any], size: Size) -> Record | None:
    """A run with other options; None where the layer cannot have them."""
    try:
        return _run(cls, options, size)
    except (ValueError, RuntimeError):
        return None


def _constants(
    cls: type[Layer], options: dict[str, Any], run: Record, size: Size
) -> dict[int, str]:
    """Sizes of axes that are an option: they change with it; and the channels of the guide."""
    found: dict[int, str] = {}
    for option, value in _numbers(cls).items():
        if option in options or len(option) > 8:
            continue
        other = _tried(cls, {**options, option: 2 * value}, size)
        if other is None:
            continue
        pairs = set(zip(_sizes(run), _sizes(other), strict=False))
        if (value, 2 * value) in pairs and not any(
            before == value != 2 * value != after for before, after in pairs
        ):
            found[value] = option
    guides = [step.shape[1] for step in run.steps if step.what == "input"][1:]
    return found | {channels: "k" for channels in guides if channels % RUNS[0]["c"]}


def _sizes(run: Record) -> list[int]:
    return [size for step in run.steps for size in step.shape]


def _numbers(cls: type[Layer]) -> dict[str, int]:
    parameters = inspect.signature(cls).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if type(parameter.default) is int and parameter.default >= 2
    }


def _counts(cls: type[Layer]) -> dict[str, int]:
    """Options that are small numbers, which may be how often something is repeated."""
    return {option: value for option, value in _numbers(cls).items() if value <= 8}


def _repeats(one: Record, many: Record, times: int) -> bool:
    """Whether steps of `one` stand several times in a row in `many`."""
    short, long = ([step.what for step in run.steps] for run in (one, many))
    more = len(long) - len(short)
    if more <= 0 or more % (times - 1):
        return False
    size = more // (times - 1)
    return any(
        short == long[:place] + long[place + more :]
        and long[place : place + size] * times == long[place : place + size * times]
        for place in range(len(short) - size + 1)
    )


def _run(cls: type[Layer], options: dict[str, Any], sizes: Size) -> Record:
    size = (1, sizes["c"], sizes["h"], sizes["w"])
    with torch.device("meta"):
        layer = create(cls, size[1], **options).eval()
        inputs = {"x": torch.empty(size)}
        if isinstance(layer, FusionLayer):
            inputs["guide"] = torch.empty(cls.benchmark_guide(options, size))  # type: ignore[attr-defined]
    scan = mock.patch.object(scanning, "reference", selective_scan)
    with choice.forced(**PLAIN), scan:
        return record(layer.plain, layer, inputs)  # type: ignore[attr-defined]


def selective_scan(x: Tensor, *others: Any) -> Tensor:
    """Stands for the recurrence, which takes steps for every pixel: one step of this name."""
    if has_torch_function((x,)):
        return handle_torch_function(selective_scan, (x,), x, *others)  # type: ignore[no-any-return]
    return torch.empty_like(x)
