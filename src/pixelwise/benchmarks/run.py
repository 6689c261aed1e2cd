"""A whole run: every case at every size in every mode, each row written as it comes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from pixelwise.benchmarks.cases import Case
from pixelwise.benchmarks.child import Taken, peak, timed
from pixelwise.benchmarks.facts import Facts, facts
from pixelwise.benchmarks.floor import Ceilings, ceilings
from pixelwise.benchmarks.machine import about
from pixelwise.benchmarks.peers import check_installed, peer_version
from pixelwise.benchmarks.processes import ChildFailed, alone
from pixelwise.benchmarks.rows import RESULTS, Row, RowFile
from pixelwise.benchmarks.settings import AUTHORS, COMPILED, OURS, BenchSettings, written
from pixelwise.benchmarks.subject import build
from pixelwise.benchmarks.work import Work, authors_forms
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.layers.benchmarked import Size
from pixelwise.ops.running import choice
from pixelwise.ops.running import taken as forms_taken


@runtime_checkable
class Watcher(Protocol):
    """Is told what happens."""

    def say(self, line: str) -> None:
        """One line."""

    def busy(self, what: str, done: int, total: int) -> None:
        """How much of a known amount is done."""


@dataclass(frozen=True)
class Bench:
    """Measures works with the settings of a run, and keeps what it finds."""

    settings: BenchSettings
    ceilings: Ceilings
    file: RowFile
    watcher: Watcher
    rows: list[Row]

    def work(self, case: Case, size: Size, mode: str) -> Work:
        """What is measured first: ours and everything beside it."""
        told = self.settings
        return Work(
            case=case,
            size=size,
            training=mode == "train",
            forms=(OURS, *told.compared),
            device=told.device,
            dtype=told.dtype,
            backbone=told.backbone,
            forced=told.forced,
            channels_last=told.channels_last,
            seconds=told.seconds,
            repeats=told.repeats,
        )

    def measure(self, work: Work) -> list[Row]:
        """Rows of one work, written and shown."""
        known = facts(work)
        taken = _taken(work)
        ours = taken[OURS].median if OURS in taken else None
        forms_taken.add(taken[OURS].forms if OURS in taken else {})
        rows = [_row(work, form, found, ours, known, self) for form, found in taken.items()]
        for row in rows:
            self.file.add(row, peer_version(row.form))
            self.watcher.say(line(row))
        self.rows.extend(rows)
        return rows


def check(cases: Sequence[Case], settings: BenchSettings) -> None:
    """Raise for everything that can be known to be wrong.

    Raises:
        InputError: A form, package, option or size that there is not.
    """
    for name in settings.compared:
        check_installed(name)
    found = False
    with choice.forced(**settings.forced), torch.device("meta"):
        for case in cases:
            for size in case.at(settings.sizes):
                found |= bool(authors_forms(build(case, size, backbone=settings.backbone)))
    if AUTHORS in settings.compared and not found:
        raise InputError(
            f"against={AUTHORS!r}: none of these has such a form, which is for layers whose plain"
            " form costs more than released code, e.g. encoding; use --against plain"
        )


def start(settings: BenchSettings, folder: Callable[[], Path], watcher: Watcher) -> Bench:
    """Measure what the machine allows, then make the folder and begin the file of rows.

    Raises:
        InputError: There is no such device.
    """
    watcher.say(translate("measuring what this machine allows"))
    found = alone(ceilings, settings.device, settings.dtype)
    here = alone(about)
    rate, copies = found.operations / 1e9, found.bytes / 1e9
    watcher.say(
        translate(
            "matrix products {rate:,.0f} GFLOP/s, copies {copies:.1f} GB/s read and written"
        ).format(rate=rate, copies=copies)
    )
    kind = {"device": settings.device, "dtype": settings.dtype}
    file = RowFile(folder() / RESULTS, {**here, **kind})
    return Bench(settings, found, file, watcher, [])


def compare(bench: Bench, cases: Sequence[Case]) -> None:
    """All cases at their sizes."""
    settings = bench.settings
    works = [
        bench.work(case, size, mode)
        for case in cases
        for size in case.at(settings.sizes)
        for mode in settings.modes
    ]
    for done, work in enumerate(works):
        bench.watcher.busy("measuring", done, len(works))
        bench.measure(work)
    bench.watcher.busy("measuring", len(works), len(works))


def line(row: Row) -> str:
    """What is shown of a row while others are measured."""
    head = f"{row.name:32} {row.size:15} {row.mode:8} {row.form:12}"
    if row.median_ms is None:
        return f"{head} {row.problem}"
    ratio = (
        ""
        if row.ratio is None or row.is_ours
        else translate("  {ratio:6.2f} x ours").format(ratio=row.ratio)
    )
    memory = "" if row.peak_mb is None else f"  {row.peak_mb:7.0f} MB"
    return f"{head} {row.median_ms:10.2f} ms{memory}{ratio}  {row.problem}".rstrip()


def _taken(work: Work) -> dict[str, Taken]:
    """Times of all forms from one process, or from one each where that does not survive."""
    taken = _try(work)
    if taken is None:
        taken = {}
        for form in work.forms:
            one = replace(work, forms=(form,))
            taken |= _try(one) or {}
    for form, found in taken.items():
        if found.median is not None and work.device == "cpu" and form != COMPILED:
            found.peak_mb, found.problem = _peak(work, form)
    return taken


def _try(work: Work) -> dict[str, Taken] | None:
    try:
        return alone(timed, work)
    except (ChildFailed, InputError) as error:
        return None if len(work.forms) > 1 else {work.forms[0]: Taken(problem=str(error))}


def _peak(work: Work, form: str) -> tuple[float | None, str]:
    try:
        return alone(peak, work, form), ""
    except (ChildFailed, InputError) as error:
        return None, translate("memory: {error}").format(error=error)


def _row(
    work: Work, form: str, found: Taken, ours: float | None, known: Facts, bench: Bench
) -> Row:
    times, median = found.milliseconds, found.median
    floor = 1e3 * bench.ceilings.floor(known.flops, known.maps, training=work.training)
    own = form == OURS
    return Row(
        name=work.case.name,
        size=written(work.size),
        pixels=work.size[0] * math.prod(work.size[2:]),
        mode="train" if work.training else "forward",
        form=form,
        median_ms=median,
        min_ms=min(times, default=None),
        max_ms=max(times, default=None),
        n=len(times),
        ratio=None if median is None or not ours else median / ours,
        peak_mb=found.peak_mb,
        predicted_mb=known.predicted_mb if own else None,
        gflop=known.flops / 1e9 if own else None,
        parameters=known.parameters if own else None,
        floor_ms=floor,
        over_floor=None if median is None else median / floor,
        problem=found.problem,
    )
