"""What a layer costs: measured points where there are some, and what the library counts."""

import functools
from dataclasses import dataclass
from html import escape
from typing import Any

import torch

from building.gallery.charts import Axis, Curve, chart, powers
from building.gallery.texts import measured
from pixelwise.cost import flops, parameters, predict
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.registry import create
from pixelwise.ops.running import choice

CHANNELS = 256
SIDES = (16, 32, 64, 96)
PIXELS = "pixels"


@dataclass(frozen=True)
class Counted:
    """Operations and bytes of a layer at each of `SIDES`."""

    parameters: int
    operations: list[int]
    lean: list[int]
    plain: list[int]


@functools.cache
def counted(cls: type[Layer]) -> Counted:
    """Count on the meta device, where nothing is computed."""
    with torch.device("meta"):
        layer = create(cls, CHANNELS).eval()
    found = Counted(parameters(layer), [], [], [])
    for side in SIDES:
        shapes = _shapes(cls, layer, (1, CHANNELS, side, side))
        inputs = [torch.empty(shape, device="meta") for shape in shapes]
        found.operations.append(flops(layer, *inputs))
        found.lean.append(predict(layer, *shapes, training=False, device="cpu"))
        with choice.forced(layer="plain"):
            found.plain.append(predict(layer, *shapes, training=False, device="cpu"))
    return found


def _shapes(cls: type[Layer], layer: Layer, size: tuple[int, int, int, int]) -> list[Any]:
    if isinstance(layer, FusionLayer):
        return [size, cls.benchmark_guide({}, size)]  # type: ignore[attr-defined]
    return [size]


def charts(key: str, found: Counted) -> str:
    """Operations, memory and, where it was measured, time against pixels, as HTML."""
    pixels = [side * side for side in SIDES]
    across = Axis(PIXELS, [(p, f"{s}×{s}") for p, s in zip(pixels, SIDES, strict=True)], True)

    def points(values: list[float]) -> list[tuple[float, float]]:
        return [(float(p), v) for p, v in zip(pixels, values, strict=True)]

    work = [count / 1e9 for count in found.operations]
    lean, plain = ([size / 1e6 for size in sizes] for sizes in (found.lean, found.plain))
    drawn = [
        chart(
            f"GFLOP, {CHANNELS} channels",
            across,
            powers(work, "GFLOP"),
            [Curve("counted", points(work), "chart-1")],
            "operations",
        ),
        chart(
            f"MB beyond the input, {CHANNELS} channels",
            across,
            powers([*lean, *plain], "MB"),
            [Curve("plain", points(plain), "chart-2"), Curve("lean", points(lean), "chart-1")],
            "memory",
        ),
    ]
    if grown := growth(key):
        times = [(float(row["pixels"]), float(row["median_ms"])) for row in grown]
        sizes = [row["size"].split("x", 2) for row in grown]
        ticks = [
            (pixel, size[2].replace("x", "×"))
            for (pixel, _), size in zip(times, sizes, strict=True)
        ]
        few = ticks if len(ticks) <= 5 else [*ticks[: -1 : -(-len(ticks) // 4)], ticks[-1]]
        drawn.append(
            chart(
                f"ms, {sizes[0][1]} channels, measured",
                Axis(PIXELS, few, True),
                powers([time for _, time in times], "ms"),
                [Curve("lean", times, "chart-1")],
                "time",
            )
        )
    return '<div class="charts">\n' + "\n".join(drawn) + "\n</div>"


def growth(key: str) -> list[dict[str, str]]:
    """The rows of `growth_points.csv` that are of a layer."""
    rows = [row for row in measured("growth_points") if row["name"].split(":")[0] == key]
    rows = [row for row in rows if row["median_ms"] and row["name"] == rows[0]["name"]]
    return sorted(rows, key=lambda row: int(row["pixels"]))


def timed(key: str) -> list[dict[str, str]]:
    """The rows of `layers.csv` that are of a layer; those of `layers_again.csv` replace others."""
    rows = [row for row in measured("layers") if row["name"].split(":")[0] == key]
    sizes = {row["size"] for row in rows}
    again = [
        row
        for row in measured("layers_again")
        if row["name"].split(":")[0] == key and row["size"] in sizes
    ]
    replaced = {(row["name"], row["mode"], row["form"]) for row in again}
    kept = [row for row in rows if (row["name"], row["mode"], row["form"]) not in replaced]
    order = list(dict.fromkeys((row["name"], row["mode"]) for row in rows))
    found = sorted([*again, *kept], key=lambda row: order.index((row["name"], row["mode"])))
    return [row for row in found if row["median_ms"]]


def time_table(key: str) -> list[str]:
    """Measured time and memory beside other forms and packages, as lines of Markdown."""
    rows = timed(key)
    if not rows:
        return []
    first = rows[0]
    dates = " and ".join(sorted({row["date"] for row in rows}))
    lines = [
        f"Measured on {dates}: {first['cpu']}, {first['threads']} threads,"
        f" torch {first['torch'].split('+')[0]}, {first['dtype']}, input"
        f" {first['size'].replace('x', '×')}.",
        "",
        "| options | run | code | time, ms | memory, MB |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    named = {
        "ours": "pixelwise",
        "plain": "the equations, written plainly",
        "authors-form": "the equations, at the cost of the authors' code",
    }
    for row in rows:
        _, _, options = row["name"].partition(":")
        code = escape(named.get(row["form"]) or row["peer"], quote=False)
        lines.append(
            f"| {f'`{options}`' if options else 'default'} | {row['mode']} | {code}"
            f" | {_figures(row['median_ms'])} | {_figures(row['peak_mb'])} |"
        )
    return lines


def _figures(number: str) -> str:
    """A number with three figures, or all of them before the point."""
    value = float(number)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
