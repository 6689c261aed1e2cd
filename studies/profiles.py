"""In which operators the time of a layer goes: the reasons behind what `pixelwise bench` finds.

python studies/profiles.py gau nonlocal:mode=gaussian --out studies/profiles.csv

One row for each of the operators that take most of a form's time on the CPU, after a first call.
`products` is the share of matrix products and convolutions, which both forms must make.
"""

import argparse

from torch.profiler import ProfilerActivity, profile

import machine
from pixelwise.benchmarks.cases import LAYER_SIZE, cases
from pixelwise.benchmarks.settings import OURS, PLAIN, parse_map_size, written
from pixelwise.benchmarks.work import Work, prepare

CALLS, LISTED = 3, 5
PRODUCTS = ("mm", "conv", "linear", "attention")


def rows(case, size, mode):
    """What our form and the plain one spend their time on."""
    subject = prepare(Work(case=case, size=size, training=mode == "train", forms=(OURS, PLAIN)))
    for form in (OURS, PLAIN):
        call = subject.call(form)
        call()
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(CALLS):
                call()
        events = sorted(found.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events)
        products = sum(event.self_cpu_time_total for event in events if _is_product(event.key))
        for event in events[:LISTED]:
            yield {
                "case": case.name,
                "size": written(size),
                "mode": mode,
                "form": form,
                "total_ms": round(total / CALLS / 1e3, 2),
                "products": round(products / total, 3),
                "operator": event.key,
                "calls": event.count // CALLS,
                "ms": round(event.self_cpu_time_total / CALLS / 1e3, 2),
            }


def _is_product(name):
    return any(part in name for part in PRODUCTS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--size", type=parse_map_size, default=LAYER_SIZE)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    found = []
    for case in cases(options.names):
        for mode in ("forward", "train"):
            found += rows(case, case.at((options.size,))[0], mode)
            print(found[-1]["case"], mode, found[-1]["total_ms"], flush=True)
    machine.write(options.out, found)


if __name__ == "__main__":
    main()
