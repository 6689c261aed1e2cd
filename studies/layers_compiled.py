"""Layers as they are beside their compiled forms, in turns: rows of `layers_compiled.csv`.

    python studies/layers_compiled.py [KEY ...]

Rows of other days and machines stay. `pixelwise.compiled` measures in the same way.
"""

import csv
import statistics
import sys
from pathlib import Path

import torch

from pixelwise import create_layer
from pixelwise.benchmarks.machine import about
from pixelwise.compiling import measuring
from pixelwise.layers.option_text import read_options
from pixelwise.layers.registry import available

FILE = Path(__file__).with_suffix(".csv")
SIZES = ((1, 512, 64, 128), (2, 256, 64, 64))
MORE = ("gc",)
"""Measured, but in no mode faster, so not worth trying."""


def times_of(layer, mode, x):
    """Verdict, and the times of both forms where they were measured."""
    caught = []
    judge = measuring.judged
    measuring.judged = lambda times: caught.append(times) or judge(times)
    try:
        verdict = measuring.measured(layer, mode, (x,))
    finally:
        measuring.judged = judge
    return verdict, caught[0] if caught else None


def rows_of(key, size):
    """A row per form and mode."""
    torch._dynamo.reset()
    layer = available()[key]
    options = read_options(layer.benchmark_cases[0])
    images, channels, height, width = size
    if layer.limits.images > images:
        images = layer.limits.images
    for mode in ("forward", "train"):
        torch.manual_seed(0)
        module = create_layer(key, channels, **options).train(mode == "train")
        x = torch.randn(images, channels, height, width, requires_grad=mode == "train")
        verdict, times = times_of(module, mode, x)
        print(size, verdict, flush=True)
        for form, seconds in zip(("ours", "compiled"), times or (), strict=False):
            yield {
                "device": "cpu",
                "dtype": "float32",
                "name": ":".join(filter(None, (key, layer.benchmark_cases[0]))),
                "size": "x".join(map(str, x.shape)),
                "pixels": height * width,
                "mode": mode,
                "form": form,
                "median_ms": f"{statistics.median(seconds) * 1e3:.5g}",
                "min_ms": f"{min(seconds) * 1e3:.5g}",
                "max_ms": f"{max(seconds) * 1e3:.5g}",
                "n": len(seconds),
                "ratio": f"{statistics.median(seconds) / statistics.median(times[0]):.4g}",
            }
        if times is None:
            told = verdict.why if verdict else "not measured"
            yield {"name": key, "size": "x".join(map(str, x.shape)), "mode": mode, "problem": told}


def main(keys):
    with FILE.open(newline="") as file:
        reader = csv.DictReader(file)
        names, rows = reader.fieldnames, list(reader)
    for key in keys or [key for key, one in available().items() if one.worth_compiling] + [*MORE]:
        made = [about() | row for size in SIZES for row in rows_of(key, size)]
        done = {(row["date"], row["cpu"], row["name"]) for row in made}
        rows = [row for row in rows if (row["date"], row["cpu"], row["name"]) not in done] + made
        with FILE.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=names, restval="")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
