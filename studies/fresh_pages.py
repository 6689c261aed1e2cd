"""What a training step takes where freed memory is kept, and where it is given back.

python studies/fresh_pages.py --out studies/fresh_pages.csv

Each row is the median step of a process of its own, in processor time, since the machine may be
shared; the kinds take turns. `faults` are pages of memory that the system handed out in a step.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import machine
import pixelwise

TURNS, STEPS = 3, 6
CASES = {
    "fcn resnet18, 4x3x256x320": ("fcn", (4, 3, 256, 320)),
    "fcn resnet18, 4x3x512x512": ("fcn", (4, 3, 512, 512)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--one", nargs=2, metavar=("CASE", "KEPT"), help="one process of a row")
    options = parser.parse_args()
    if options.one:
        print(*measured(options.one[0], options.one[1] == "yes"))
        return
    rows = []
    for case in CASES:
        found = {"no": [], "yes": []}
        for _ in range(TURNS):
            for kept, several in found.items():
                words = [sys.executable, __file__, "--one", case, kept]
                said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
                several.append(tuple(map(float, said.split())))
        for kept, several in found.items():
            ms, faults, peak = (statistics.median(column) for column in zip(*several, strict=True))
            gain = statistics.median(one[0] for one in found["no"]) / ms
            rows.append(
                {
                    "case": case,
                    "kept": kept,
                    "ms": f"{ms:.1f}",
                    "ratio": f"{gain:.2f}",
                    "faults": f"{faults:.0f}",
                    "peak_mb": f"{peak:.0f}",
                }
            )
            print(*rows[-1].values(), flush=True)
        machine.write(options.out, rows)


def measured(case, kept):
    """Milliseconds and faults of a step, and the largest memory of the process in MB."""
    if kept:
        assert pixelwise.keep_freed_memory()
    torch.manual_seed(0)
    name, shape = CASES[case]
    network = pixelwise.create_model(name, backbone="resnet18", num_classes=11).train()
    x, optimizer = torch.randn(shape), torch.optim.SGD(network.parameters(), lr=1e-3)
    seconds, faults = [], []
    for _ in range(STEPS):
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
        network(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.process_time() - begun)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return 1e3 * statistics.median(seconds[2:]), statistics.median(faults[2:]), peak


if __name__ == "__main__":
    main()
