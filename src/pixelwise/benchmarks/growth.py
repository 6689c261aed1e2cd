"""Time and memory against pixels, and the exponents with which they grow."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pixelwise.benchmarks.cases import LAYER_SIZE, NETWORK_SIZE, Case
from pixelwise.benchmarks.facts import facts
from pixelwise.benchmarks.rows import Row
from pixelwise.benchmarks.run import Bench
from pixelwise.layers.benchmarked import Size

FIRST, FIRST_IMAGE = (16, 32), (64, 128)
FITTED = 4
"""Points of the largest sizes that an exponent is fitted to: small ones are all overhead."""
QUADRATIC = 4.0
"""By this a form may grow where only one size is known: twice the pixels, all their pairs."""
SPARE = 0.8
"""Share of the free memory that a call may be expected to take."""


def grow(bench: Bench, cases: Sequence[Case], fitted: list[dict[str, object]]) -> None:
    """Measure each case at doubling sizes; each adds its rows of `growth.csv` to `fitted`."""
    for case in cases:
        for mode in bench.settings.modes:
            fitted += _grow_one(bench, case, mode)


def sizes(first: tuple[int, int], images: int, channels: int) -> Iterator[Size]:
    """Twice the pixels each time: the shorter side doubles."""
    height, width = first
    while True:
        yield (images, channels, height, width)
        height, width = (2 * height, width) if height < width else (height, 2 * width)


def exponent(pixels: Sequence[int], values: Sequence[float]) -> float | None:
    """The p of value ~ pixels ** p, by least squares over the largest few."""
    pairs = [(x, y) for x, y in zip(pixels, values, strict=True) if x > 0 and y > 0]
    pairs = sorted(pairs)[-FITTED:]
    if len({x for x, _ in pairs}) < 2:
        return None
    logs = np.log(np.array(pairs))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def expected(values: Sequence[float]) -> float:
    """The next value of a series at doubling sizes, from its last two."""
    if len(values) < 2:
        return QUADRATIC * values[-1]
    return values[-1] * min(max(values[-1] / max(values[-2], 1e-9), 1.5), QUADRATIC)


def write_growth(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """The exponents as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["name"])
        writer.writeheader()
        writer.writerows(rows)


def _grow_one(bench: Bench, case: Case, mode: str) -> list[dict[str, object]]:
    told = bench.settings.sizes
    images, channels = (told[0] if told else NETWORK_SIZE if case.is_network else LAYER_SIZE)[:2]
    series: dict[str, list[Row]] = {}
    active, operations = bench.work(case, LAYER_SIZE, mode).forms, []
    for size in sizes(FIRST_IMAGE if case.is_network else FIRST, images, channels):
        work = replace(bench.work(case, size, mode), forms=active)
        for row in bench.measure(work):
            series.setdefault(row.form, []).append(row)
            operations += [(row.pixels, row.gflop)] if row.is_ours and row.gflop else []
        active = tuple(form for form in active if _goes_on(series[form], bench))
        if not active:
            break
    declared = facts(bench.work(case, (images, channels, *FIRST_IMAGE), mode)).exponent
    flops = exponent(*zip(*operations, strict=True)) if operations else None
    return [
        {
            "name": case.name,
            "mode": mode,
            "form": form,
            "time_exponent": _rounded(_fitted(rows, "median_ms")),
            "memory_exponent": _rounded(_fitted(rows, "peak_mb")),
            "flop_exponent": _rounded(flops if rows[0].is_ours else None),
            "cost_exponent": _rounded(declared if rows[0].is_ours else None),
            "largest_pixels": max((row.pixels for row in rows if row.median_ms), default=0),
        }
        for form, rows in series.items()
    ]


def _goes_on(rows: list[Row], bench: Bench) -> bool:
    times = [row.median_ms for row in rows if row.median_ms is not None]
    if len(times) < len(rows):
        return False
    if expected(times) > 1e3 * bench.settings.seconds_per_call:
        return False
    peaks = [row.peak_mb for row in rows if row.peak_mb is not None]
    free = free_memory(bench.settings.device)
    return not peaks or free is None or expected(peaks) < SPARE * free


def free_memory(device: str) -> float | None:
    """Megabytes that may still be taken; None where it cannot be told."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0] / 2**20
    info = Path("/proc/meminfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**10
    return None


def _fitted(rows: Sequence[Row], column: str) -> float | None:
    pairs = [(row.pixels, getattr(row, column)) for row in rows]
    kept = [(x, y) for x, y in pairs if y is not None]
    return exponent(*zip(*kept, strict=True)) if kept else None


def _rounded(value: float | None) -> object:
    return "" if value is None or math.isnan(value) else round(value, 3)
