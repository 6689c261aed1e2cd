"""What folding batch norms, and channels last, save in whole networks in eval mode.

python studies/folding.py bisenetv2 danet --size 1x3x512x1024 --out studies/folding.csv

All forms take turns in one process; the first is the plain form of every layer, not folded.
"""

import argparse
import statistics
import time

import torch

import machine
import pixelwise
from pixelwise.benchmarks.cases import NETWORK_SIZE, cases
from pixelwise.benchmarks.settings import parse_map_size, written
from pixelwise.benchmarks.subject import build
from pixelwise.benchmarks.work import ALL_PLAIN


def forms(model, x):
    """Name -> a call."""
    folded, last = pixelwise.fold(model), torch.channels_last
    wide = pixelwise.fold(model).to(memory_format=last)

    def plain():
        with choice.forced(**ALL_PLAIN):
            return model(x)

    return {
        "plain": plain,
        "ours": lambda: model(x),
        "folded": lambda: folded(x),
        "folded, channels last": lambda: wide(x.contiguous(memory_format=last)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--size", type=parse_map_size, default=NETWORK_SIZE)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rows = []
    for case in cases(options.names):
        torch.manual_seed(0)
        model = build(case, options.size, backbone=options.backbone).eval()
        calls, times = forms(model, torch.randn(options.size)), {}
        with torch.inference_mode():
            for call in calls.values():
                call()
            for _ in range(options.repeats):
                for name, call in calls.items():
                    start = time.perf_counter()
                    call()
                    times.setdefault(name, []).append(time.perf_counter() - start)
        ours = statistics.median(times["ours"])
        for name, found in times.items():
            rows.append(
                {
                    "case": case.name,
                    "size": written(options.size),
                    "form": name,
                    "median_ms": round(1e3 * statistics.median(found), 1),
                    "min_ms": round(1e3 * min(found), 1),
                    "n": len(found),
                    "ratio": round(statistics.median(found) / ours, 3),
                }
            )
            print(rows[-1], flush=True)
    machine.write(options.out, rows)


if __name__ == "__main__":
    main()
