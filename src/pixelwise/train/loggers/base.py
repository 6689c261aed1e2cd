"""What every logger can do, and what it is told of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

PROJECT = "pixelwise"
"""Project or experiment of the runs, where the tool's own variables name no other."""


@dataclass(frozen=True)
class About:
    """A run, as loggers are told of it.

    Args:
        run: Its folder.
        name: What people call it.
        settings: Name -> plain value, without secrets.
        step: Steps that are learnt already; 0 for a new run.
        kept: What `begin` returned when the run began; empty for a new one.
    """

    run: Path
    name: str
    settings: Mapping[str, Any]
    step: int
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Begun:
    """What a logger made of a run.

    Args:
        kept: What it needs to go on with the same run; stands in the run's folder.
        where: Where people look at it.
    """

    kept: Mapping[str, str]
    where: str


@runtime_checkable
class Logger(Protocol):
    """A tool that shows numbers of runs.

    All calls but the first come from a thread of its own. One that raises is the last.
    """

    live: ClassVar[bool]
    """Whether it removes what lies beyond a checkpoint itself when a run is resumed. The others are
    sent nothing that a resumed run would learn again."""

    def begin(self, about: About) -> Begun:
        """Begin, or go on with, a run."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step: "train/loss" and the like, or "val/miou" and the like."""

    def flush(self) -> None:
        """Send what waits."""

    def picture(self, step: int, name: str, file: Path) -> None:
        """A PNG file."""

    def end(self, state: str) -> None:
        """The run is "finished", "interrupted" or "failed"."""
