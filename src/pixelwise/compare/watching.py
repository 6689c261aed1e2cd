"""Who looks on while the runs of a comparison go: each says one line, not all that a run says."""

from pixelwise.tasks.base import Result
from pixelwise.train.watching import Watcher


class Within:
    """Looks on for one run of many, or for some of them.

    Args:
        watcher: Who is told.
        share: How much of the whole is done before, 0 to 1, and after it.
        lines: Whether lines are told too; of a run they are not, it has one line in the end.
    """

    def __init__(
        self, watcher: Watcher, share: tuple[float, float], *, lines: bool = False
    ) -> None:
        self._watcher, self._lines = watcher, lines
        self._low, self._high = share

    def say(self, line: str) -> None:
        """One line of plain text."""
        if self._lines:
            self._watcher.say(line)

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """Progress of all runs."""
        whole = self._low + (self._high - self._low) * min(progress, 1.0)
        self._watcher.step(whole, step, loss, elapsed)

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything else that takes time."""
        self._watcher.busy(what, done, total)

    def validated(self, step: int, result: Result) -> None:
        """Nothing: the last network alone counts."""
