"""What a command shows while it works: bars on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pixelwise.language import spoken, translate

if TYPE_CHECKING:
    from pixelwise.tasks.base import Result

PLAIN_EVERY = 15.0
"""Seconds between plain lines of progress where there is no terminal."""


class Console:
    """Says lines and shows progress; implements `pixelwise.train.watching.Watcher`.

    Args:
        quiet: Only results and errors.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._rich = RichConsole(highlight=False, soft_wrap=True)
        self._live = self._rich.is_terminal and not quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn(translate("left")),
            TimeRemainingColumn(),
            console=self._rich,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._loss: float | None = None
        self._best = ""
        self._step = 0
        self._spoke = time.monotonic()

    def __enter__(self) -> "Console":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            self.print(line)

    def print(self, line: str) -> None:
        """One line of result."""
        line = spoken(line)
        if self._live:
            self._rich.print(line, markup=False)
        else:
            print(line, flush=True)

    def warn(self, line: str) -> None:
        """One line on standard error."""
        print(spoken(line), file=sys.stderr, flush=True)

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """After every optimiser step."""
        if step <= self._step:  # another run begins
            self._loss, self._best = None, ""
        self._step = step
        smooth = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._loss = smooth
        note = translate("step {step}  loss {smooth:.3f}{best}").format(
            step=step, smooth=smooth, best=self._best
        )
        if self._live:
            self._bar(translate("training"), min(progress, 1.0), note)
        elif not self.quiet and time.monotonic() - self._spoke > PLAIN_EVERY:
            self._spoke = time.monotonic()
            print(
                translate("training {progress:4.0%}  {note}  {elapsed:.0f} s").format(
                    progress=progress, note=note, elapsed=elapsed
                ),
                flush=True,
            )

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything else that takes time."""
        what = translate(what)
        if not self._live:
            return
        if done < total:
            self._bar(
                what, done / total, translate("{done} of {total}").format(done=done, total=total)
            )
        elif what in self._tasks:
            self._bars.remove_task(self._tasks.pop(what))

    def validated(self, step: int, result: "Result") -> None:
        """After every evaluation of val."""
        self._best = f"  {translate(result.title)} {abs(result.best):.3f}"
        self.say(translate("step {step:6d}  val {line}").format(step=step, line=result.line()))

    def _bar(self, what: str, share: float, note: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=1.0, note="")
        self._bars.update(self._tasks[what], completed=share, note=note)
