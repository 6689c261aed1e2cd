"""All loggers of a run.

A row goes to a tool that cannot take it back only when a checkpoint covers it: a resumed run
learns those steps no second time. What a tool missed, it gets from the CSV files on resume.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pixelwise.errors import InputError, in_one_line
from pixelwise.language import translate
from pixelwise.settings import as_plain
from pixelwise.sharing import shareable
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.loggers.base import About
from pixelwise.train.loggers.choice import OFFLINE, make, read_names
from pixelwise.train.loggers.following import LONGEST, Follower
from pixelwise.train.loggers.tensorboard import TensorBoard
from pixelwise.train.settings import TrainSettings

BEGIN_WITHIN, END_WITHIN = 120.0, 60.0
"""Seconds that a server has to answer, before the first step and at the end."""


class Loggers:
    """TensorBoard, and the loggers that the settings name; as a context, it ends them.

    Args:
        settings: The run's.
        run: Its folder.
        say: Told where to look, and once of each logger that fails.
    """

    def __init__(self, settings: TrainSettings, run: Path, say: Callable[[str], None]) -> None:
        self._settings, self._run, self._say = settings, run, say
        self._followers: list[Follower] = []
        self._waiting: dict[str, list[tuple[int, dict[str, float]]]] = {"train": [], "val": []}

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        state = "finished" if error is None else "interrupted" if stopped else "failed"
        for follower in self._followers:
            follower.end(state, END_WITHIN)
        self._tell_failures()

    def begin(self, step: int, past: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Begin all of them.

        Args:
            step: Steps that are learnt already.
            past: Rows of the CSV files up to there, by "train" and "val".

        Raises:
            InputError: One cannot be begun, before the first step. Later, it is left out.
        """
        made = [Follower("tensorboard", TensorBoard(), self._run)]
        made += [Follower(n, make(n), self._run) for n in read_names(self._settings.loggers)]
        name = f"{self._run.resolve().parent.name}/{self._run.resolve().name}"
        about = About(self._run, name, shareable(as_plain(self._settings)), step, {})
        for follower in made:
            self._followers.append(follower)
            asked = not isinstance(follower.logger, TensorBoard)
            try:
                where = follower.begin(about, BEGIN_WITHIN)
            except Exception as error:
                if asked and step == 0:
                    raise self._refused(follower.name, error) from error
                self._say(_gone(follower.name, in_one_line(error, LONGEST)))
                continue
            if asked:
                self._say(
                    translate("logger  {name}: {where}").format(name=follower.name, where=where)
                )
            if not follower.logger.live:
                for part, rows in past.items():
                    follower.numbers(part, [_row(part, row) for row in rows])

    def numbers(self, part: str, row: Mapping[str, Any]) -> None:
        """A row of "train" or "val"."""
        plain = _row(part, row)
        self._waiting[part].append(plain)
        for follower in self._followers:
            if follower.logger.live:
                follower.numbers(part, [plain])

    def settle(self) -> None:
        """A checkpoint covers all rows until now."""
        for part, rows in self._waiting.items():
            for follower in self._followers:
                if rows and not follower.logger.live:
                    follower.numbers(part, rows)
            self._waiting[part] = []
        for follower in self._followers:
            if follower.logger.live:
                follower.flush()
        self._tell_failures()

    def picture(self, step: int, name: str, file: Path) -> None:
        """A PNG file."""
        for follower in self._followers:
            follower.picture(step, name, file)

    def _refused(self, name: str, error: Exception) -> InputError:
        if isinstance(error, InputError):
            return error
        return InputError(
            f"loggers={self._settings.loggers!r}: {name} cannot begin"
            f" ({in_one_line(error, LONGEST)}); without a server {OFFLINE[name]}, or leave it out"
        )

    def _tell_failures(self) -> None:
        for follower in self._followers:
            if (reason := follower.failure()) is not None:
                self._say(_gone(follower.name, reason))


def _gone(name: str, reason: str) -> str:
    return translate(
        "logger  {name} failed ({reason}): the run goes on without; steps.csv has all numbers"
    ).format(name=name, reason=reason)


def _row(part: str, row: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Step, and the numbers that there are."""
    values = {
        f"{part}/{name}": float(value)
        for name, value in row.items()
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }
    return int(row["step"]), values
