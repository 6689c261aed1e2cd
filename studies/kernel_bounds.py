"""What each kernel can reach on cards that people have, on paper: nothing here is measured.

python studies/kernel_bounds.py --out studies/kernel_bounds.csv    # the numbers
python studies/kernel_bounds.py --table studies/kernel_bounds.csv  # Markdown of docs/performance.md

The bound is the least time for the bytes and operations that `benchmarks/hour/bounds.py` counts.
What our design can reach is reckoned launch by launch: the library's own calls are made with
tensors without memory, for a GPU that is not here, and each launch takes as long as the slowest of

    memory       the tensors that it is given, once: maps of this size stay in the second cache
    cache        what its programs read, all together
    products     on matrix units for half types, on float32 units for float32
    operations, exponentials, loads of few numbers at a time, tiles that wait for one another

on as many multiprocessors as it has programs for. FOLLOWS says how long that is at least.
"""

import argparse
import csv
import importlib
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import machine

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from hour.bounds import Rates, Work, bound, work
from hour.cases import CASES, WINDOW, Size
from pixelwise.ops.running import choice, kernels

SIZE, DTYPE = Size(2, 512, 64, 128), torch.bfloat16


class Card(NamedTuple):
    """Public figures: bytes, dense bfloat16 operations, float32 operations, in a second."""

    memory: float
    products: float
    float32: float
    multiprocessors: int
    clock: float
    cache: float
    """Bytes in a second from the second cache, in round numbers: what others' programs read."""
    arch: int

    def rates(self):
        """For the bound; a multiprocessor has 16 exponentials, and loads for 32 threads, a tick."""
        return Rates(self.memory, self.products, self.float32, 16 * self._ticks())

    def loads(self):
        """Of all threads in a second."""
        return 32 * self._ticks()

    def _ticks(self):
        return self.multiprocessors * self.clock


CARDS = {
    "H100 SXM": Card(3.35e12, 989e12, 67e12, 132, 1.83e9, 5.5e12, 90),
    "H200": Card(4.8e12, 989e12, 67e12, 132, 1.83e9, 5.5e12, 90),
    "A100 80GB": Card(2.04e12, 312e12, 19.5e12, 108, 1.41e9, 4.5e12, 80),
    "RTX 4090": Card(1.01e12, 165e12, 82.6e12, 128, 2.52e9, 5.0e12, 89),
}
SHARE = {"memory": 0.9, "cache": 0.9}
"""Of a rate that programs reach; of all others OTHERS."""
OTHERS = 0.7
FOLLOWS = 2e-6
"""Seconds from one launch to the next at least, in a CUDA graph."""
TILE, RESIDENT = 1.5e-6, 4
"""Seconds for a tile of a scan, which waits for the one before, and programs of a multiprocessor
that do so beside one another. All of these are assumed."""

WINDOW_INSTRUCTIONS = {"_forward": 21, "query_gradient": 17, "pair_gradient": 22}
"""Of a pair of pixels in local attention, most of them for what the mask hides: counted in what is
built for sm_90. One takes as long as an addition and a multiplication."""

ROWS = {
    "joint gate": ["joint product"],
    "axis gate": ["axis"],
    "polarized gate": ["polarized product"],
    "pooling and mean": ["pool and mean"],
    "attention, 64 and 512 wide": ["attention"],
    "attention, 256 and 512 wide": ["attention deep"],
    "local attention, 4 heads of 32, 7x7": ["window"],
    "skewed mask, one side": ["mask collect"],
    "skewed masks, both sides": ["mask collect", "mask distribute"],
    "streamed projection, 256 rows": ["projection"],
    "selective scan, 1 state": ["scan"],
    "selective scan, 16 states": ["scan of 16 states"],
}
"""A line of the table -> the cases that it adds."""


class Launch(NamedTuple):
    """One kernel of ours, or one operation of torch, and what it has to do."""

    name: str
    programs: int
    needs: dict


class Launches(TorchDispatchMode):
    """Collects them; views and empty tensors start nothing."""

    def __init__(self, case):
        super().__init__()
        self.found, self._case = [], case

    def ours(self, kernel, grid, *given, **constants):
        """In place of `launch`."""
        module = kernel.fn.__module__.removeprefix("pixelwise.ops.")
        name, programs = f"{module}.{kernel.fn.__name__}", math.prod(grid)
        moved = sum(z.nbytes for z in given if isinstance(z, torch.Tensor))
        if constants.get("sends_x") is False:
            moved -= SIZE.b * SIZE.c * SIZE.h * SIZE.w * DTYPE.itemsize  # given, not written
        needs = {"memory": moved, "cache": moved} | needed(name, programs, constants, self._case)
        self.found.append(Launch(name, programs, needs))

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        flat = torch.utils._pytree.tree_leaves((args, kwargs, out))
        tensors = [z for z in flat if isinstance(z, torch.Tensor)]
        name = function.overloadpacket.__name__
        views = function.is_view or name.startswith(("empty", "new_empty", "detach", "_unsafe"))
        if not views and tensors:
            moved = sum(z.nbytes for z in tensors)
            self.found.append(Launch(name, 10**6, {"memory": moved, "cache": moved}))
        return out


def needed(name, programs, k, case):
    """What a kernel reads through the cache and computes, beside the tensors it is given.

    `k` are the blocks of a program; the formulas follow the loops of the kernels.
    """
    shapes = {key: tuple(shape) for key, shape in CASES[case].shapes(SIZE).items()}
    n, item, kernel = SIZE.h * SIZE.w, DTYPE.itemsize, name.rpartition(".")[2]
    if name.startswith("attention"):
        (_, d, _), (_, e, m) = shapes["key"], shapes["value"]
        own, other, width, whole = k["own"], k["other"], k["width"], k["whole"]
        steps = programs * math.ceil(m / other)
        if kernel == "_pair_gradient":
            held, deep = own * (d + e), d + e + width
            read = other * (d + e) if whole else (own + other) * (d + e) + other * width
        else:
            held, deep = own * d, d + width
            read = other * (d + width) + (0 if whole else own * d)
        pairs, held = steps * own * other, programs * held if whole else 0
        found = {"cache": (steps * read + held) * item, "products": 2 * pairs * deep}
        return found | {"operations": 3 * pairs, "exponentials": pairs}
    if name.startswith("skewed_mask"):
        (_, _, d), c, run, width, whole = shapes["weight"], SIZE.c, k["run"], k["width"], k["whole"]
        own_x = {
            "_forward": k["collect"],
            "_value_gradient": not k["collect"],
            "_guide_gradient": True,
            "_weight_gradient": False,
        }[kernel]
        tiles = math.ceil(SIZE.w / run)
        slices = math.ceil((c if kernel in ("_forward", "_value_gradient") else d) / width)
        steps = SIZE.b * slices * SIZE.h**2 * tiles * (tiles + own_x)  # the mask is whole
        lines = 1 if own_x else 2
        read, deep = lines * run * d * (1 if whole else 2), lines * d
        if kernel in ("_forward", "_value_gradient"):
            read, deep = read + run * width, deep + width
        else:
            again = run * width * (2 if own_x else 1)
            read, deep = read + run * c * (1 if whole else 2) + again, deep + c + 2 * width
        pairs = steps * run * run
        found = {"cache": steps * read * item, "products": 2 * pairs * deep}
        return found | {"operations": 6 * pairs, "exponentials": pairs}
    if name.startswith("streamed_projection"):
        (_, o, c), own, other = shapes["weight"], k["own"], k["other"]
        deep = c if kernel != "_gradient" else c + k["width"]
        rows = o if kernel != "_gradient" else o * math.ceil(c / k["width"])
        pairs = SIZE.b * rows * n
        read = pairs / (own * other) * ((own + other) * c) * 4
        return {"cache": read, "operations": 2 * pairs * deep, "exponentials": pairs}
    if name.startswith("local_attention"):
        own, other = k["tall"] * k["broad"], k["rows"] * k["columns"]
        steps = programs * math.ceil((k["tall"] + WINDOW - 1) / k["rows"]) * k["across"]
        d, e, pairs = k["block_d"], k["block_e"], steps * own * other
        held = {"_forward": d, "query_gradient": d + 3 * e, "pair_gradient": d + e}[kernel]
        deep = {"_forward": d + e, "query_gradient": 2 * d + e, "pair_gradient": 2 * (d + e)}
        read = programs * own * held + steps * other * (d + e)
        found = {"cache": read * item, "products": 2 * pairs * deep[kernel], "loads": read / 4}
        return found | {
            "operations": 2 * WINDOW_INSTRUCTIONS[kernel] * pairs,
            "exponentials": pairs,
        }
    if name.startswith("selective_scan"):
        e, states = shapes["rate"][1:]
        scans = 2 if kernel == "_backward" else 1
        each = SIZE.b * 4 * n * e * states
        depth = math.ceil(math.log2(k["block_t"]))
        found = {"operations": each * (6 + 3 * depth) * scans, "exponentials": each * scans * 1.5}
        slices = SIZE.b * 4 * math.ceil(e / k["block_e"])
        stretch = math.ceil(math.ceil(n / k["block_t"]) / (programs / slices))
        return found | {"tiles": stretch * scans}
    return {}


def launches(case, card):
    """Those of forward, and of backward."""
    Believed.arch = card.arch
    inputs = [
        torch.empty(z.shape, dtype=z.dtype, device="meta", requires_grad=True)
        for z in CASES[case].draw(SIZE, DTYPE, "meta").values()
    ]
    both = []
    with choice.forced(**{CASES[case].operation: "kernel"}):
        with collected(case) as found:
            out = CASES[case].function(*inputs, **CASES[case].options)
        both.append(found)
        out = out if isinstance(out, tuple) else (out,)
        slopes = [torch.empty_like(z) for z in out]
        with collected(case) as found:
            torch.autograd.grad(out, inputs, slopes, allow_unused=True)
        both.append(found)
    return both


class collected:  # noqa: N801 — used like a function
    """Within, kernels are not started but written down."""

    def __init__(self, case):
        self._mode = Launches(case)

    def __enter__(self):
        named = [operation for operation, forms in choice.FORMS.items() if "kernel" in forms]
        places = ["running.kernel_launch", "running.kernel_products"]
        places += ["skewed_mask.kernel_gradients", *(f"{name}.kernel" for name in named)]
        self._modules = [importlib.import_module(f"pixelwise.ops.{name}") for name in places]
        self._before = [module.launch for module in self._modules]
        for module in self._modules:
            module.launch = self._mode.ours
        self._mode.__enter__()
        return self._mode.found

    def __exit__(self, *given):
        self._mode.__exit__(*given)
        for module, before in zip(self._modules, self._before, strict=True):
            module.launch = before


class Believed:
    """A GPU that is not here, as Triton asks for it."""

    arch = 90

    def get_current_device(self):
        """The first."""
        return 0

    def get_current_stream(self, device):
        """The default one."""
        return 0

    def get_current_target(self):
        """What is built for."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.arch, 32)


def reckoned(found, card):
    """Seconds of all launches, and what most of them go to."""
    spent = defaultdict(float)
    rates = {
        "memory": card.memory,
        "cache": card.cache,
        "products": card.products,
        "operations": card.float32,
        "exponentials": card.rates().exponentials,
        "loads": card.loads(),
    }
    for launch in found:
        busy = min(1.0, launch.programs / card.multiprocessors)
        times = {
            limit: needs / (rates[limit] * SHARE.get(limit, OTHERS) * busy)
            for limit, needs in launch.needs.items()
            if limit != "tiles"
        }
        waves = math.ceil(launch.programs / (RESIDENT * card.multiprocessors))
        tiles = launch.needs.get("tiles", 0) * waves
        times |= {"tiles": tiles * TILE, "launches": FOLLOWS}
        limit = max(times, key=times.get)
        spent[limit] += times[limit]
    return sum(spent.values()), max(spent, key=spent.get)


def rows():
    """Of each line, pass and card."""
    from triton.runtime import driver

    driver.set_active(Believed())
    kernels.interpreted = lambda: True  # what fails is not to be replaced by the lean form
    importlib.import_module("pixelwise.ops.running.kernel_launch").interpreted = lambda: False
    for label, names in ROWS.items():
        for card_name, card in CARDS.items():
            found = [launches(name, card) for name in names]
            for i, way in enumerate(("forward", "backward")):
                least = Work(0, 0, 0, 0)
                for name in names:
                    least += work(name, SIZE, DTYPE, backward=bool(i))
                microseconds, limit = bound(least, card.rates())
                done = [launch for each in found for launch in each[i]]
                seconds, slowest = reckoned(done, card)
                ours = [launch.programs for launch in done if "." in launch.name]
                yield {
                    "kernel": label,
                    "pass": way,
                    "card": card_name,
                    "megabytes": round(least.moved / 1e6, 1),
                    "gflop_products": round(least.products / 1e9, 1),
                    "gflop_others": round(least.others / 1e9, 2),
                    "bound_us": round(microseconds, 1),
                    "bound_by": limit,
                    "our_kernels": len(ours),
                    "launches": len(done),
                    "programs": max(ours),
                    "reach_us": round(seconds * 1e6, 1),
                    "share": round(microseconds / (seconds * 1e6), 2),
                    "limited_by": slowest,
                }


def table(path):
    """Header and lines; in a cell forward, then backward."""
    found = defaultdict(dict)
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["kernel"]][row["card"], row["pass"]] = row
    heads = ["forward, backward", "MB", "GFLOP", *(f"{card}, µs" for card in CARDS)]
    yield [*heads, "launches; H100 reaches"]
    yield ["---"] * (len(heads) + 1)
    first = next(iter(CARDS))
    for label, cells in found.items():
        pair = [cells[first, way] for way in ("forward", "backward")]
        flops = [float(row["gflop_products"]) + float(row["gflop_others"]) for row in pair]
        bounds = [
            ", ".join(short(cells[card, way]["bound_us"]) for way in ("forward", "backward"))
            for card in CARDS
        ]
        reach = ", ".join(f"{float(row['share']):.0%} {row['limited_by']}" for row in pair)
        counts = ", ".join(row["launches"] for row in pair)
        megabytes = ", ".join(short(row["megabytes"]) for row in pair)
        yield [label, megabytes, ", ".join(map(short, flops)), *bounds, f"{counts}; {reach}"]


def short(number):
    value = float(number)
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="write the CSV")
    parser.add_argument("--table", help="print what is in a CSV as Markdown")
    options = parser.parse_args()
    if options.out:
        nowhere = {"cpu": "none: on paper", "cores": "", "threads": ""}
        machine.write(options.out, [nowhere | row for row in rows()])
    if options.table:
        for cells in table(options.table):
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
