"""Layers of the second wave beside their plain forms, and beside timm and fightingcv.

python studies/second_wave.py --out studies/second_wave.csv

Processor time of one thread, since the machine may be shared: the forms take turns in one process,
and a row is the median of a form. `ratio` is its time divided by ours: above 1, ours is faster.
fightingcv-attention is compared if it is installed; layers have their defaults, `ss2d` the one
state for each channel of its authors' networks.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

import machine
from pixelwise.benchmarks.cases import Case
from pixelwise.benchmarks.peers import PACKAGES, peer_module
from pixelwise.layers.registry import create
from pixelwise.ops.running import choice

KEYS = [
    *("simam", "emsa", "caa", "triplet", "sge", "sk", "scoord", "shuffle", "nam", "ela", "mlca"),
    *("cpca", "scsa", "gam", "strip", "external", "double", "cot", "lka", "lska", "lsk", "msca"),
    *("natten", "msda", "biformer", "dat", "focal", "cga", "agent", "axial", "hamburger", "ss2d"),
]
OPTIONS = {"ss2d": {"states": 1, "gate": "none"}}
TURNS = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=KEYS)
    parser.add_argument("--size", default="1x256x64x64")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shape, rows = tuple(map(int, options.size.split("x"))), []
    for name in options.names:
        for mode in ("forward", "train"):
            found = measured(name, shape, mode)
            for form, seconds in found.items():
                rows.append(
                    {
                        "layer": name,
                        "size": options.size,
                        "mode": mode,
                        "form": form,
                        "ms": f"{1e3 * seconds:.1f}",
                        "ratio": f"{seconds / found['ours']:.2f}",
                    }
                )
                print(*list(rows[-1].values()), flush=True)
        if options.out:
            machine.write(options.out, rows)


def measured(name, shape, mode):
    """Form -> median of the processor seconds of a call."""
    torch.manual_seed(0)
    ours = create(name, shape[1], **OPTIONS.get(name, {}))
    modules = {"ours": ours, "plain": ours}
    for package in ("timm", "fightingcv"):
        try:
            peer = peer_module(package, Case(name, name), ours, [shape])
        except ImportError:
            continue
        if peer is not None:
            modules[PACKAGES[package][1][0]] = peer
    x = torch.randn(max(shape[0], ours.limits.images if mode == "train" else 1), *shape[1:])
    seconds = {form: [] for form in modules}
    for turn in range(TURNS + 1):  # the first is not counted
        for form, module in modules.items():
            with choice.forced(**({"layer": "plain"} if form == "plain" else {})):
                start = time.process_time()
                run(module.train(mode == "train"), x, mode)
                if turn:
                    seconds[form].append(time.process_time() - start)
    return {form: statistics.median(taken) for form, taken in seconds.items()}


def run(module, x, mode):
    if mode == "forward":
        with torch.no_grad():
            module.eval()(x)
        return
    x = x.detach().requires_grad_()
    module(x).square().sum().backward()


if __name__ == "__main__":
    main()
