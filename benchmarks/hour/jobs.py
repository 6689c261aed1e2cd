"""The parts of the hour, their jobs in the order of importance, and how one is done.

A job is words and numbers alone, since another process does it; what it finds are rows of the CSV
of its part.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch

from hour import checks, facts
from hour.bounds import Rates, Work, bound, work
from hour.cases import CASES, DTYPES, TIMED, Case, Size, both_ways, forms, rivals, running
from hour.checks import Row
from hour.timing import measure
from pixelwise.ops.running import choice, kernels, taken

ALONE = ("facts", "times", "graphs", "strides")
"""Parts that need the card for themselves."""
FILES = {
    "facts": "facts", "numbers": "numbers", "times": "times", "graphs": "graphs",
    "strides": "numbers",
}  # fmt: skip
SHARES = {"facts": 0.1, "numbers": 0.4, "times": 0.82, "graphs": 0.92, "strides": 0.98}
"""When a part ends at the latest, of all the time; what it left is taken up after the last one."""
FEW = ("attention", "joint product", "mask collect")
"""What a dry run does where one case is like the other."""
COLUMNS = {
    "facts": ("name", "value", "unit"),
    "numbers": (
        "operation", "case", "dtype", "layout", "size", "of", "error", "plain_error", "tolerance",
        "took", "verdict",
    ),
    "times": (
        "operation", "case", "dtype", "size", "mode", "form", "median_us", "least_us", "host_us",
        "calls", "bound_us", "bound_by", "of_bound", "peak_mb", "took", "rule",
    ),
    "graphs": (
        "operation", "case", "dtype", "size", "check", "verdict", "replay_us", "took",
    ),
    "rules": (
        "operation", "case", "dtype", "size", "mode", "takes", "takes_us", "fastest", "fastest_us",
        "times_as_fast", "beside", "beside_us", "verdict",
    ),
}  # fmt: skip
"""Of each file, after those of the machine and before `message`, which says what went wrong."""


class Job(NamedTuple):
    """What one process does at a time."""

    part: str
    case: str = ""
    dtype: str = ""
    size: Size = Size(0, 0, 0, 0)
    layout: str = ""
    form: str = ""
    most: float = 60
    """Seconds after which it is given up."""

    def __str__(self) -> str:
        told = (self.part, self.case, self.dtype, self.layout, self.form)
        return " ".join(filter(None, (*told, str(self.size) if self.size.b else "")))

    def about(self) -> Row:
        """The columns of its rows that are known before it is done."""
        operation = CASES[self.case].operation if self.case in CASES else ""
        whole = {"operation": operation, "case": self.case, "dtype": self.dtype}
        whole |= {"layout": self.layout, "size": str(self.size), "form": self.form}
        named = {"name": self.case} if self.part == "facts" else {}
        return {key: z for key, z in (whole | named).items() if key in COLUMNS[FILES[self.part]]}


def planned(dry: bool) -> dict[str, list[Job]]:
    """Part -> its jobs."""
    tiny = Size(1, 8, 2, 4)
    even, odd = (tiny, Size(1, 5, 3, 3)) if dry else (Size(2, 512, 16, 32), Size(2, 275, 15, 33))
    sizes = [tiny, Size(1, 8, 4, 4)] if dry else [Size(2, 512, 64, 128), Size(2, 512, 128, 256)]
    far = Size(1, 8, 4, 8) if dry else Size(1, 64, 16, 32)
    laid = {"even": even, "odd": odd, "channels-last": even}
    checked = [
        Job("numbers", name, dtype, size, layout, "kernel", most=120)
        for dtype in DTYPES
        for layout, size in laid.items()
        for name in CASES
        if not dry
        or (
            (dtype == "float32") == (layout != "even")
            and (layout != "channels-last" or name in FEW)
        )
    ]
    timed = [
        Job("times", name, dtype, size, form=form, most=45 if which == "forms" else 90)
        for dtype, size, which in _order(sizes, dry)
        for name in TIMED
        if not dry or size == sizes[0] or name in FEW
        for form in (forms(CASES[name]) if which == "forms" else rivals(CASES[name]))
        if not dry or which == "forms" or name in FEW
    ]
    return {
        "facts": [Job("facts", name) for name in ("card", *facts.NAMES)],
        "numbers": checked,
        "times": timed,
        "graphs": [
            Job("graphs", name, dtype, sizes[0], form="kernel", most=45)
            for dtype in (DTYPES if not dry else DTYPES[:1])
            for name in (TIMED if not dry else FEW)
        ],
        "strides": [
            Job("strides", name, DTYPES[0], far, "far", "kernel", most=45)
            for name in (TIMED if not dry else FEW)
        ],
    }


def _order(sizes: list[Size], dry: bool) -> list[tuple[str, Size, str]]:
    """Types, sizes, and whether forms that rules take are timed or those beside them."""
    small, large = sizes
    first, *others = DTYPES
    told = [(first, small, "forms"), (first, large, "forms"), (first, small, "rivals")]
    if dry:
        return told
    told += [(dtype, small, "forms") for dtype in others]
    told += [(first, large, "rivals")]
    told += [(dtype, large, "forms") for dtype in others]
    return told + [(dtype, size, "rivals") for size in sizes for dtype in others]


def perform(job: Job, dry: bool, ceilings: Mapping[str, float]) -> tuple[list[Row], bool]:
    """Its rows, whatever goes wrong being one; and whether the process gets answers no more."""
    rows: list[Row] = []
    broken = False
    with checks.warnings_told() as told:
        try:
            for row in _perform(job, dry, ceilings):
                rows.append(row)
        except Exception as error:
            rows.append({"message": checks.in_a_line(error)})
            broken = checks.broken(error)
    gc.collect()
    if not (dry or broken):
        torch.cuda.empty_cache()
    said = {"message": "; ".join(told)} if told else {}
    return [job.about() | said | row for row in rows], broken


def _perform(job: Job, dry: bool, ceilings: Mapping[str, float]) -> Iterator[Row]:
    device = "cpu" if dry else "cuda"
    form = job.form
    if form == "kernel" and dry and not (kernels.installed() and kernels.interpreted()):
        form = "lean"
    if job.part == "facts":
        if job.case == "card":
            yield from facts.facts(dry)
        elif job.case == "copy":
            yield facts.copy_rate(dry)
        else:
            yield facts.product_rate(job.case.removeprefix("product "), dry)
    elif job.part == "times":
        yield from _times(job, form, device, ceilings)
    elif job.part == "graphs":
        yield from checks.graphs(job.case, job.dtype, job.size, form, device)
    else:
        yield from checks.numbers(job.case, job.dtype, job.layout, job.size, form, device)


def _times(job: Job, form: str, device: str, ceilings: Mapping[str, float]) -> Iterator[Row]:
    """Forward, and a training step: forward and backward."""
    case, dtype, dry = CASES[job.case], getattr(torch, job.dtype), device == "cpu"
    inputs = case.draw(job.size, dtype, device)
    first = inputs.get("value", next(iter(inputs.values())))
    rule = choice.RULES[case.operation](first, inputs.get("key", first))
    needed = [work(job.case, job.size, dtype, backward) for backward in (False, True)]
    slopes: list[torch.Tensor] = []
    with running(case, form, dry) as call:

        def forward() -> None:
            with torch.no_grad():
                call(*inputs.values())

        for mode, least in (("forward", needed[0]), ("train", needed[0] + needed[1])):
            row: Row = {"mode": mode, "rule": rule}
            try:
                run = forward if mode == "forward" else lambda: both_ways(call, inputs, slopes)
                row |= _timed(case, run, device, dry)
                row |= _bound(row, least, job.dtype, ceilings)
            except Exception as error:
                if checks.broken(error):
                    raise
                row |= {"message": checks.in_a_line(error)}
            yield row


def _timed(case: Case, run: Callable[[], object], device: str, dry: bool) -> Row:
    taken.forget()
    peak: object = ""
    if not dry:
        run()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        peak = round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)
    times = measure(run, device, 0.0 if dry else 0.4)
    told = {"median_us": round(times.median, 1), "least_us": round(times.least, 1)}
    told |= {"host_us": round(times.host, 1), "calls": times.calls, "peak_mb": peak}
    return told | {"took": checks.form_taken(case)}


def _bound(row: Row, least: Work, dtype: str, ceilings: Mapping[str, float]) -> Row:
    if not all(name in ceilings for name in facts.NAMES):
        return {}
    rates = Rates(ceilings["copy"], ceilings[f"product {dtype}"], ceilings["product float32"])
    microseconds, limit = bound(least, rates)
    told = {"bound_us": round(microseconds, 2), "bound_by": limit}
    return told | {"of_bound": round(microseconds / float(str(row["median_us"])), 3)}
