"""What one pixel's map costs beside the layer's forward pass.

python studies/maps.py --size 64x128 --channels 256 --out studies/maps.csv

Seconds are medians of interleaved runs; bytes are those of live tensors (`cost.measured`). The last
column is what a matrix of all pairs of pixels would take.
"""

import argparse
import statistics

import torch

import machine
from pixelwise.checks import parse_size
from pixelwise.cost import measured
from pixelwise.explanation.reading import read
from pixelwise.layers.base import AttentionLayer
from pixelwise.layers.registry import create, names

ROUNDS = 5


def row(key, channels, size):
    """One layer's costs, or None where it is no layer of one input or refuses the map."""
    torch.manual_seed(0)
    layer = create(key, channels).eval()
    if not isinstance(layer, AttentionLayer) or not layer.keeps_shape:
        return None
    x = torch.randn(1, channels, *size)
    at = (size[0] // 2, size[1] // 2)
    forms = {"forward": lambda: layer(x), "map": lambda: read(layer, [x], at)}
    runs = {name: [] for name in forms}
    with torch.no_grad():
        for _ in range(ROUNDS):
            for name, form in forms.items():
                runs[name].append(measured(form))
    found = {"layer": key, "channels": channels, "size": "x".join(map(str, size))}
    for name, done in runs.items():
        found[f"{name}_ms"] = round(1000 * statistics.median(one.seconds for one in done), 3)
        found[f"{name}_mb"] = round(max(one.peak_bytes for one in done) / 1e6, 2)
    found["all_pairs_mb"] = round(4 * (size[0] * size[1]) ** 2 / 1e6, 1)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="64x128")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    size = parse_size(options.size, "size")
    rows = [found for key in names() if (found := row(key, options.channels, size))]
    machine.write(options.out, rows)
    for found in rows:
        print({k: v for k, v in found.items() if k not in ("channels", "size")}, flush=True)


if __name__ == "__main__":
    main()
