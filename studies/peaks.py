"""Peak memory of a training step on a large map, each layer in a process of its own.

python studies/peaks.py pam nonlocal --size 1x512x128x256 --out studies/peaks.csv

Megabytes above what was in use before (weights and inputs are), beside what `cost.predict` tells
and what one matrix of all pairs would take. Seconds are those of the process, its start included.
"""

import argparse
import math
import time

import machine
from pixelwise.benchmarks.cases import cases
from pixelwise.benchmarks.child import peak
from pixelwise.benchmarks.facts import facts
from pixelwise.benchmarks.processes import alone, begin
from pixelwise.benchmarks.settings import OURS, parse_map_size, written
from pixelwise.benchmarks.work import Work


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--size", type=parse_map_size, default=(1, 512, 128, 256))
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    begin()
    rows = []
    for case in cases(options.names):
        work = Work(case=case, size=options.size, training=True, forms=(OURS,))
        start = time.perf_counter()
        found = alone(peak, work, OURS)
        seconds = time.perf_counter() - start
        rows.append(
            {
                "case": case.name,
                "size": written(options.size),
                "mode": "train",
                "peak_mb": round(found, 1),
                "predicted_mb": round(facts(work).predicted_mb, 1),
                "all_pairs_mb": 4 * math.prod(options.size[2:]) ** 2 >> 20,
                "seconds": round(seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    machine.write(options.out, rows)


if __name__ == "__main__":
    main()
