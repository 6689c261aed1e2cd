"""What candidates would cost behind each stage of a host, and how far its features look there.

Nothing is inserted for good, and no gain is promised. Costs are those of the layer with its gain,
as `insert` puts it there; times are measured on this machine, each a few times.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pixelwise import cost
from pixelwise.errors import InputError, in_one_line, unknown
from pixelwise.insertion.attached import Attached, InsertionPlace, insertions_of
from pixelwise.insertion.examples import Example, example_for, mode, picture_of, quiet, run, seeded
from pixelwise.insertion.insert import insert
from pixelwise.insertion.layouts import FeatureLayout, Grid
from pixelwise.insertion.proof import is_identity, unreached
from pixelwise.insertion.reaching import as_trained, reach, with_picture
from pixelwise.insertion.stage_places import ends_of_stages, stage_numbers
from pixelwise.insertion.suggestions import HostCost, StagePlace, Suggestion, Suggestions
from pixelwise.insertion.targets import layout_at
from pixelwise.insertion.tracing import Trace, trace
from pixelwise.language import mark, translate
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.option_text import split, write_options
from pixelwise.layers.placement import Placement, parse
from pixelwise.layers.registry import available, create, names, options, resolve

CANDIDATES = ("se", "eca", "gc", "coord", "psa_s", "strip_pooling", "isa", "nonlocal")
"""From cheap to dear: gates of channels, one context, rows and columns, all pairs of pixels."""
SIZE = (512, 512)
LONG = 3.0
"""Seconds; a layer that would take longer is not run, but estimated."""
QUICK = 0.3
"""Seconds; a layer that takes less is always run."""
SHORT = 0.2
"""Seconds for repetitions of what is quick."""
PASSES = 8
"""Forward passes that the reach of all stages takes, at most, about."""
PROBE = "eca"
"""A layer that can stand anywhere, to ask `insert` whether any can."""


@dataclass(frozen=True)
class _Spot:
    """A place, its layout, and what comes out there for the picture."""

    place: StagePlace
    layout: FeatureLayout
    shape: tuple[int, ...]
    calls: int
    dtype: torch.dtype


def suggest(
    host: nn.Module,
    layers: str | Sequence[str] = CANDIDATES,
    *,
    size: tuple[int, int] | None = None,
    example: Example | None = None,
    grid: Grid | None = None,
    seconds: float = 50.0,
) -> Suggestions:
    """What layers would cost behind each stage, and how far the host's features look there.

    Args:
        host: Any network that `insert` takes; it is left as it was.
        layers: Names with options if need be, "se, isa(down_factors=[(8, 8)])", or "all".
        size: Height and width of the pictures; by default those of `example`, or 512x512.
        example: The host's input, as for `insert`.
        grid: Of token sequences, as for `insert`.
        seconds: What it may take, about; what does not fit into it is estimated, and marked.

    Raises:
        InputError: There is no such layer, or the host takes no such pictures.
    """
    start = time.monotonic()
    wanted = _wanted(layers)
    small = example if example is not None else _small(host, size)
    given = _given(small, size, own=example is not None)
    with mode(host, training=False):
        seen = trace(host, small)
        ends = ends_of_stages(host, small, seen, grid)
        big = _traced(host, given)
        numbers = stage_numbers(host, seen, grid)
        numbers = numbers if numbers.keys() >= {*ends} else {}  # all, or none
        spots = [_spot(host, name, numbers.get(name), seen, big, grid) for name in ends]
        alone = _alone(host, given, big)
        notes, spots = _reached(host, given, spots, alone.seconds, seconds / 3)
    problems = _problems(host, [spot.place.name for spot in spots], small, grid)
    spots = [
        replace(spot, place=replace(spot.place, problem=problems.get(spot.place.name, "")))
        for spot in spots
    ]
    rate = alone.flops / alone.seconds
    device = picture_of(given).device
    rows = []
    for spot in spots:
        for layer in wanted:
            left = seconds - (time.monotonic() - start)
            most = max(QUICK, min(LONG, left / 4))
            rows.append(_row(spot, layer, big.image, device, rate, most))
    if any(not row.measured and not row.problem for row in rows):
        notes.append(
            mark(
                "~ not run, since it would take long: estimated from its operations at"
                " the host's speed"
            )
        )
    return Suggestions(alone, tuple(spot.place for spot in spots), tuple(rows), tuple(notes))


def _wanted(layers: str | Sequence[str]) -> list[Placement]:
    """Layers with options, each once.

    Raises:
        InputError: There is no such layer.
    """
    texts = [layers] if isinstance(layers, str) else list(layers)
    found: list[Placement] = []
    for text in [word for told in texts for word in split(told, ",") if word.strip()]:
        if text.strip() == "all":
            found += [Placement("", key, {}) for key in names()]
            continue
        (one, *more) = parse(text, "suggest", default=("",)) or [None]
        if one is None or more or one.where != "":
            raise InputError(
                f"suggest={text!r}: every stage is tried; write a layer without a place, e.g. psa_s"
            )
        found.append(one._replace(key=resolve(one.key)))
        takes = options(found[-1].key)
        for name in one.options:
            if name not in takes:
                raise unknown("option", name, takes, f"of layer {found[-1].key!r}")
    unique = {_name(layer): layer for layer in found}
    if not unique:
        raise InputError("suggest='': names no layer; write e.g. se,gc,psa_s, or all")
    return list(unique.values())


def _name(layer: Placement) -> str:
    told = write_options(layer.options)
    return f"{layer.key}({told})" if told else layer.key


def _small(host: nn.Module, size: tuple[int, int] | None) -> Example:
    try:
        return example_for(host, None)
    except InputError:
        if size is None:
            raise
        return example_for(host, size)


def _given(small: Example, size: tuple[int, int] | None, *, own: bool) -> Example:
    """One picture of the size asked for."""
    picture = picture_of(small)
    if not own or (size is not None and size != tuple(picture.shape[-2:])):
        if own and not isinstance(small, Tensor):
            raise InputError(
                f"size={size}: an example of several inputs has a size; give it at that size"
            )
        generator = torch.Generator().manual_seed(0)
        shape = (1, picture.shape[1], *(size or SIZE))
        picture = torch.randn(shape, generator=generator).to(picture.device, picture.dtype)
    return with_picture(small, picture[:1])


def _traced(host: nn.Module, given: Example) -> Trace:
    """One pass at the size asked for, without computing where the host lets itself be run so.

    Raises:
        InputError: The host takes no such pictures.
    """
    if isinstance(given, Tensor):
        try:
            with FakeTensorMode(allow_non_fake_inputs=True), quiet():
                return trace(host, torch.empty_like(given))
        except Exception:  # e.g. control flow that looks at numbers: run it then
            pass
    height, width = picture_of(given).shape[-2:]
    try:
        return trace(host, given)
    except Exception as error:
        raise InputError(
            f"size={height}x{width}: {type(host).__name__} takes no such pictures"
            f" ({in_one_line(error, 160)}); take another size"
        ) from error


def _spot(
    host: nn.Module, name: str, number: int | None, seen: Trace, big: Trace, grid: Grid | None
) -> _Spot:
    layout, _ = layout_at(host, name, seen, grid)
    calls = big.of(name)
    shape = calls[-1].shape
    place = StagePlace(name, number, layout.channels(shape), layout.size(shape, big.image))
    return _Spot(place, layout, shape, len(calls), calls[-1].dtype)


def _alone(host: nn.Module, given: Example, big: Trace) -> HostCost:
    picture = picture_of(given)
    with torch.no_grad(), quiet(), seeded():
        taken = _seconds(lambda: run(host, given), picture.device, most=4.0)
    shape = tuple(picture.shape)
    memory, training = (_memory(host, shape, t, picture.dtype) for t in (False, True))
    count = cost.parameters(host)
    where = (
        f"{torch.get_num_threads()} threads of the CPU"
        if picture.device.type == "cpu"
        else (str(picture.device))
    )
    return HostCost(
        type(host).__name__, big.image, count, big.flops, taken, memory, training, where
    )


def _memory(
    module: nn.Module, shape: tuple[int, ...], training: bool, dtype: torch.dtype
) -> int | None:
    """Bytes, or None where that cannot be told, e.g. of a host that looks at numbers."""
    try:
        with quiet():
            return cost.predict(module, shape, training=training, dtype=dtype)
    except Exception:  # whatever a module says of inputs without numbers, or of one image alone
        return None


def _seconds(function: Callable[[], Any], device: torch.device, most: float = SHORT) -> float:
    """The shortest of a few runs; of one, if that takes long."""
    taken: list[float] = []
    while not taken or (sum(taken) < most and len(taken) < 4):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return min(taken)


def _reached(
    host: nn.Module, given: Example, spots: list[_Spot], taken: float, most: float
) -> tuple[list[str], list[_Spot]]:
    """How far features look at the places, and what is to be said of it."""
    notes = [
        translate(
            "reach: of the feature in the middle, for a picture of noise, with the weights given"
        )
    ]
    picture = picture_of(given)
    whole = (picture.shape[-2], picture.shape[-1])
    if taken * PASSES > most and isinstance(given, Tensor):  # radii are in pixels: fewer will do
        parts = 2 if taken * PASSES / 4 <= most else 4
        rows, columns = (-(-side // (32 * parts)) * 32 for side in whole)
        taken *= rows * columns / math.prod(whole)
        given = given[..., :rows, :columns]
        notes.append(
            translate(
                "for speed, reach was measured on a picture of {rows}x{columns}, with its edges"
            ).format(rows=rows, columns=columns)
        )
    if taken * PASSES > most:
        return [
            translate("reach: not measured, it would take about {taken:.0f} s").format(
                taken=taken * PASSES
            )
        ], spots
    found = []
    with as_trained(host) as zero:
        for spot in spots:
            looks = reach(host, spot.place.name, spot.layout, given, whole)
            told: dict[str, Any] = (
                {"unknown": looks} if isinstance(looks, str) else {"reach": looks}
            )
            found.append(replace(spot, place=replace(spot.place, **told)))
    if zero:
        notes.append(
            translate(
                "{zero} norms whose factors are all 0 count as 1 there: untrained branches"
            ).format(zero=zero)
        )
    return notes, found


def _problems(
    host: nn.Module, found: list[str], small: Example, grid: Grid | None
) -> Mapping[str, str]:
    """Why `insert` would put no layer at some of the places.

    Raises:
        InputError: It would put none anywhere.
    """
    present = insertions_of(host)
    taken = {one.place.name for one in present.attached()} if present else set()
    problems = dict.fromkeys(taken, "a layer stands there already")
    plan: Mapping[Any, Any] = {name: PROBE for name in found if name not in taken}
    if plan:
        report = insert(host, plan, example=small, grid=grid, prove=False)
        try:
            lost = unreached(host, small, report.attached())
        finally:
            report.remove()
        told = "the host's output does not depend on the pixels there"
        problems |= dict.fromkeys((one.place.name for one in lost), told)
    return problems


class _Standing(nn.Module):
    """A layer as it would stand there, of the features alone."""

    def __init__(self, attached: Attached, image: tuple[int, int]) -> None:
        super().__init__()
        self.attached, self.image = attached, image

    def forward(self, x: Tensor) -> Tensor:
        return self.attached(x, self.image)


def _row(
    spot: _Spot,
    layer: Placement,
    image: tuple[int, int],
    device: torch.device,
    rate: float,
    most: float,
) -> Suggestion:
    name = _name(layer)
    try:
        attached = _attached(spot, layer)
    except InputError as error:
        told = str(error).partition("; ")[0]
        return Suggestion(spot.place.name, name, problem=told)
    standing = _Standing(attached, image).eval()
    empty = torch.empty(1, *spot.shape[1:], device="meta")
    shadow = copy.deepcopy(standing).to("meta", torch.float32)
    flops = cost.flops(shadow, empty) * spot.calls
    standing = standing.to(device, spot.dtype)
    shape = (1, *spot.shape[1:])
    memory, training = (_memory(standing, shape, t, spot.dtype) for t in (False, True))
    row = Suggestion(
        spot.place.name,
        name,
        cost.parameters(attached),
        flops,
        flops / rate,
        False,
        memory,
        training,
    )
    if row.seconds > most:
        return row
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device, spot.dtype)
    with torch.no_grad():
        taken = _seconds(partial(standing, x), device) * spot.calls
    return replace(row, seconds=taken, measured=True)


def _attached(spot: _Spot, layer: Placement) -> Attached:
    """The layer behind its gain, as `insert` would make it.

    Raises:
        InputError: It cannot stand there; the reason comes first.
    """
    kind = available()[layer.key]
    if issubclass(kind, FusionLayer):
        raise InputError("it needs two inputs; take another")
    chosen = {"dropout": 0.0, **layer.options} if "dropout" in options(layer.key) else layer.options
    channels, (rows, columns) = spot.place.channels, spot.place.size
    with seeded():
        made = create(layer.key, channels, **chosen)
        if not isinstance(made, Layer) or not made.keeps_shape:
            raise InputError("it changes the size or the width; take another")
        least, multiple, _ = made.limits
        if min(rows, columns) < least:
            raise InputError(f"too small a map, it needs {least}x{least}; take another")
        if rows % multiple or columns % multiple:
            raise InputError(f"rows and columns must be multiples of {multiple}; take another")
        side = max(8, least) * multiple
        x = torch.randn(2, channels, min(rows, side), min(columns, side))
        gain = "own" if is_identity(made, x) else "scalar"
    place = InsertionPlace(spot.place.name, layer.key, chosen, channels, spot.layout, gain)
    return Attached(place, made, {})
