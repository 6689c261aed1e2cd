"""An evaluation that the processes of a run share: each picture is scored by one of them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pixelwise.tasks.base import Result, Scorer
from pixelwise.train.processes import Processes


class SharedScorer(Scorer):
    """Counts this process's pictures; the result is of the pictures of all.

    Args:
        own: Counts the pictures 0, n, 2 n, ... after `processes.rank`, of n processes.
        processes: Who shares.
        agree: Called before the parts are brought together; what it raises, it raises in all.
    """

    def __init__(self, own: Scorer, processes: Processes, agree: Callable[[], object]) -> None:
        self.own, self.processes, self.agree = own, processes, agree

    def look(self, name: str, logits: Tensor, target: Tensor) -> None:
        """Passed on."""
        self.own.look(name, logits, target)

    def update(self, answer: Tensor, target: Tensor) -> None:
        """Passed on."""
        self.own.update(answer, target)

    def joined(self, parts: Any) -> Any:
        """Those of the parts."""
        return self.own.joined([part.own for part in parts])

    def result(self) -> Result:
        """The numbers over the pictures of all processes, the same in each."""
        self.agree()
        if self.processes.count == 1:
            return self.own.result()
        return self.own.joined(self.processes.all(self.own)).result()
