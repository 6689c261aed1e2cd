"""What a scan of all pixels costs, beside the arithmetic that it cannot do without.

python studies/selective_scan.py --out studies/selective_scan.csv

In four directions, in float32, on one thread. `scan` is the form that runs, `steps` the recurrence
pixel after pixel, and `floor` every pass over the states that the recurrence needs, without its
order: decays, what is written, one multiply-add for each state, and what is read, in the same
blocks. Forms take turns in one process. Times are those of the processor, so that other programs on
the machine count less. `madds` are multiply-adds, an exponential as one; `times_before` is beside
the same form at half the side, where four times the pixels are four times the work.
"""

import argparse
import statistics
import time

import torch

import machine
from pixelwise.cost import measured
from pixelwise.ops.running import blocks, choice
from pixelwise.ops.selective_scan import lean, selective_scan

DIRECTIONS, BACKWARDS = 4, 2
PER_STATE = 5
"""The exponent, the exponential, what is written, the recurrence, what is read."""
SIDES = (64, 128, 256)
STEPS_UP_TO = 64
"""Side of the largest map that goes pixel after pixel."""
MOST = 1 << 18
"""Pixels times states of a map; larger ones are left out."""


def draw(side, width, states):
    torch.manual_seed(0)
    length, k = side * side, DIRECTIONS
    x, step = torch.randn(1, 2, length, width), torch.rand(1, k, length, width)
    write, read = torch.randn(2, 1, k, length, states)
    return x, step, -3 * torch.rand(k, width, states), write, read


def floor(x, step, rate, write, read):
    y = torch.zeros_like(x)
    for k in range(DIRECTIONS):
        own, rates = k % x.shape[1], rate[k].mT.contiguous()
        for t in blocks.spans(x.shape[2], rate[0].numel(), lean.RUN, x.device):
            d, seen = step[:, k, t], y[:, own, t]
            decay = (d[:, :, None] * rates).exp_()
            state = (d * x[:, own, t])[:, :, None] * write[:, k, t, :, None]
            state.addcmul_(decay, state)
            for j in range(rate.shape[2]):
                seen.addcmul_(state[:, :, j], read[:, k, t, j, None])
    return y


def forms(inputs, side):
    """Name -> a call."""
    trained = [z.clone().requires_grad_() for z in inputs]

    def steps():
        with choice.forced(selective_scan="plain"), torch.no_grad():
            return selective_scan(*inputs, BACKWARDS)

    def train():
        torch.autograd.grad(selective_scan(*trained, BACKWARDS).sum(), trained)

    calls = {"floor": lambda: floor(*inputs), "scan": lambda: selective_scan(*inputs, BACKWARDS)}
    calls |= {"scan and gradients": train}
    return calls | {"steps": steps} if side <= STEPS_UP_TO else calls


def timed(calls, repeats):
    found = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--states", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, before = [], {}
    for states in options.states:
        for side in (n for n in options.sides if n * n * states <= MOST):
            inputs = draw(side, options.width, states)
            calls = forms(inputs, side)
            times = timed(calls, options.repeats)
            madds = PER_STATE * DIRECTIONS * side * side * options.width * states
            for name, seconds in times.items():
                last = before.get((states, name, side // 2))
                rows.append(
                    {
                        "states": states,
                        "width": options.width,
                        "side": side,
                        "form": name,
                        "median_ms": round(1e3 * seconds, 1),
                        "madds": madds,
                        "of_floor": round(seconds / times["floor"], 2),
                        "times_before": round(seconds / last, 2) if last else "",
                        "peak_mb": round(measured(calls[name]).peak_bytes / 1e6, 1),
                        "inputs_mb": round(sum(z.nbytes for z in inputs) / 1e6, 1),
                    }
                )
                before[states, name, side] = seconds
                print(rows[-1], flush=True)
    machine.write(options.out, rows)


if __name__ == "__main__":
    main()
