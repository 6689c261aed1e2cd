"""Who looks on while a run goes."""

from typing import Protocol, runtime_checkable

from pixelwise.tasks.base import Result


@runtime_checkable
class Watcher(Protocol):
    """Who looks on: the progress bar, or nobody."""

    def say(self, line: str) -> None:
        """One line of plain text."""

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """After every optimiser step; `progress` is 0 to 1."""

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything else that takes time: pictures done, of how many."""

    def validated(self, step: int, result: Result) -> None:
        """After every evaluation of val."""


class Nobody:
    """Of all processes of a run but the first."""

    def say(self, line: str) -> None:
        """Nothing."""

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """Nothing."""

    def busy(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def validated(self, step: int, result: Result) -> None:
        """Nothing."""
