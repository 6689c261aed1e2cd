"""A whole comparison: what is compared is planned, every run made, and the report written."""

import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pixelwise.compare.arms import Arm, is_mechanism, spelt
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.costs import load, save
from pixelwise.compare.exporting import with_exports
from pixelwise.compare.halving import rungs, survivors
from pixelwise.compare.jobs import Job
from pixelwise.compare.measuring import measure
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.planning import Prepared, planned, prepared
from pixelwise.compare.record import Planned, new_folder
from pixelwise.compare.reporting import write_report
from pixelwise.compare.running import failure, is_done, make_run
from pixelwise.compare.watching import Within
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.notes import settled
from pixelwise.outputs import alone
from pixelwise.train.record import Record
from pixelwise.train.watching import Watcher

Warn = Callable[[str], None]


def compare(
    settings: CompareSettings,
    watcher: Watcher,
    *,
    resume: Path | None = None,
    warn: Warn | None = None,
    look: Callable[[str], None] | None = None,
    report_only: bool = False,
) -> str:
    """Make all runs that are not finished, judge, and write the report.

    Args:
        settings: The comparison.
        watcher: Told what happens.
        resume: A comparison's folder to go on with; `settings` are then its own.
        warn: Told what is to be thought about, by default `watcher.say`.
        look: Looks at the data set of that name before anything is trained, and raises where it is
            not to be trained on.
        report_only: Make no run; judge those that are finished.

    Returns:
        The verdicts as text, and where the report is.

    Raises:
        InputError: For anything that cannot work, before anything is trained where it can be known;
            another process at work in the folder.
        Interrupted: Ctrl-C or SIGTERM during a run; finished runs and the state of that one stay.
        Stopped: `look` refuses the data.
    """
    if resume is None:
        named = ",".join(spelt(settings.mechanisms))
        settings = dataclasses.replace(settings, attention=named)
    with settled():
        return _compare(settings, watcher, resume, warn or watcher.say, look, report_only)


def _compare(
    settings: CompareSettings,
    watcher: Watcher,
    resume: Path | None,
    warn: Warn,
    look: Callable[[str], None] | None,
    report_only: bool,
) -> str:
    start = time.monotonic()
    if resume is None:
        begun = prepared(settings, watcher, look)
        watcher.say(
            translate("compare {join}").format(join=", ".join(arm.name for arm in begun.arms))
        )
        folder = new_folder(settings)
    else:
        folder = resume
        begun = prepared(dataclasses.replace(settings, check_data=False), watcher, None)
    watcher.say(translate("folder  {folder}").format(folder=folder))
    with alone(folder), _told_how_to_go_on(folder, settings.cluster):
        _check_unchanged(folder, begun)
        costs = load(folder)
        if costs is None:
            costs = measure(begun, begun.arms, watcher.busy)
            save(costs, folder)
        plan = Planned.load(folder)
        if plan is None:
            try:
                plan = planned(settings, begun, costs, time.monotonic() - start)
            except InputError:
                if resume is None:
                    shutil.rmtree(folder, ignore_errors=True)  # it holds nothing to go on with
                raise
            plan.save(folder)
            watcher.say(plan.line(settings))
        for line in plan.warnings:
            warn(line)
        comparison = _Comparison(folder, settings, plan, watcher, warn)
        if not report_only:
            comparison.run()
            mechanisms = [arm for arm in plan.arms if arm.longer == 1 and arm.control_of is None]
            if settings.exports and not any(one.exports for one in costs.values()):
                costs = with_exports(begun, mechanisms, costs, watcher.busy)
                save(costs, folder)
        return write_report(folder, settings, plan, costs, warn)


class _Comparison:
    """The runs of a comparison, one after the other or by a cluster."""

    def __init__(
        self, folder: Path, settings: CompareSettings, plan: Planned, watcher: Watcher, warn: Warn
    ) -> None:
        self.folder, self.settings, self.plan = folder, settings, plan
        self.watcher, self.warn = watcher, warn
        self.done = 0
        self.warned: set[str] = set()
        tries = len(settings.factors())
        self.all = len(plan.arms) * (settings.seeds + tries)

    def run(self) -> None:
        """First the tries of learning rates, then seed by seed: so pairs are whole early."""
        plan, factors = self.plan, self.settings.factors()
        arms = list(plan.arms)
        self._make([job for arm in arms for job in plan.tries(arm, factors)])
        rates = {arm.name: self._best_rate(arm) for arm in arms}
        waiting: list[Job] = []  # a cluster is told of as many as may be
        for seed in range(self.settings.seeds):
            waiting += [plan.job(arm, seed, rates[arm.name]) for arm in arms]
            if self.settings.halving and seed + 1 in rungs(self.settings.seeds):
                self._make(waiting)
                waiting, arms = [], self._halved(arms, seed + 1)
        self._make(waiting)

    def _halved(self, arms: Sequence[Arm], seeds: int) -> list[Arm]:
        jobs = [self.plan.job(arm, seed, None) for arm in arms for seed in range(seeds)]
        done = [job for job in jobs if failure(self.folder, job) is None]
        left = survivors(arms, [Outcome.load(job.folder(self.folder)) for job in done])
        dropped = [arm.name for arm in arms if arm not in left and is_mechanism(arm)]
        self.watcher.say(
            translate("halving after {seeds} seeds: {what} dropped").format(
                seeds=seeds, what=", ".join(dropped) or "none"
            )
        )
        self.all -= (len(arms) - len(left)) * (self.settings.seeds - seeds)
        return left

    def _best_rate(self, arm: Arm) -> float | None:
        """The learning rate of the best try; None: there were none, or all failed."""
        tries = self.plan.tries(arm, self.settings.factors())
        known = [job for job in tries if failure(self.folder, job) is None]
        scores = {job.lr: Outcome.load(job.folder(self.folder)).better for job in known}
        return max(
            (lr for lr, score in scores.items() if math.isfinite(score)),
            key=lambda lr: scores[lr],
            default=None,
        )

    def _make(self, jobs: Sequence[Job]) -> None:
        left = [job for job in jobs if not is_done(self.folder, job)]
        self.done += len(jobs) - len(left)
        for job in self._each(left):
            self.done += 1
            self.watcher.say(f"{self.done:4d} of {self.all}  {self._told(job)}")

    def _each(self, jobs: Sequence[Job]) -> Iterator[Job]:
        if self.settings.cluster is not None:
            from pixelwise.compare.spreading import spread

            share = self.done / self.all, (self.done + len(jobs)) / self.all
            watcher = Within(self.watcher, share, lines=True)
            yield from spread(self.folder, self.settings, jobs, watcher, self.warn)
            return
        for number, job in enumerate(jobs, self.done):
            share = number / self.all, (number + 1) / self.all
            within = Within(self.watcher, share)
            make_run(self.folder, self.settings, job, within, partial(self._warn_once, job))
            yield job

    def _warn_once(self, job: Job, line: str) -> None:
        """What is to be thought about, the first time that it is said of any run."""
        if line not in self.warned:
            self.warned.add(line)
            self.warn(f"{job.arm.name}, {job.name.replace('_', ' ')}: {line}")

    def _told(self, job: Job) -> str:
        """What came of a run, in a line."""
        what = f"{job.arm.name}, {job.name.replace('_', ' ')}"
        if (why := failure(self.folder, job)) is not None:
            return translate("{what}: failed, {why}").format(what=what, why=why)
        found = Outcome.load(job.folder(self.folder))
        kind = found.scores.kinds[0]
        unit = f" {kind.told_in}" if kind.told_in else ""
        return f"{what}: {kind.title} {kind.text(found.main)}{unit} in {found.seconds:.0f} s"


def _check_unchanged(folder: Path, begun: Prepared) -> None:
    """Runs on other data than before would not be a fair comparison."""
    now, before = Record.of(begun.recipe, begun.data), Record.load(folder)
    if before is None:
        now.save(folder)
        return
    told = now.data_changed(before)
    if told:
        raise InputError(
            f"{folder}: the data changed since the comparison began ({'; '.join(told)}); bring them"
            " back, or begin another comparison"
        )


@contextmanager
def _told_how_to_go_on(folder: Path, cluster: str | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        command = f"pixelwise compare --resume {folder}"
        if cluster is not None:
            command += f" --cluster {cluster}"
        raise KeyboardInterrupt(f"finished runs are kept, go on with: {command}") from stop
