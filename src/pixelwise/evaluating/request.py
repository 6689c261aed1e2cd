"""What is to be evaluated, and who is told meanwhile."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pixelwise.predict.views import WHOLE, Views

AUTO = "auto"
METRICS = "metrics.json"
REPORT = "report.html"
PICTURES = "pictures.csv"


@dataclass(frozen=True)
class Request:
    """An evaluation.

    Args:
        runs: Folders, or names on the Hub; several are compared with the first.
        data: The data set.
        split: Of it.
        out: Folder of the results; None, for several runs: the next number in runs/evaluate.
        window: Larger pictures go through in tiles.
        overlap: Of the tiles.
        views: What is averaged.
        boundary: Tolerance of scores along borders.
        threshold: Of a binary network; "auto": chosen here.
        average: How many checkpoints are averaged.
        workers: Processes that load pictures.
        device: Where networks run.
        as_is: Take pictures whose values are unlike those of the training pictures.
        precision: What networks compute in: "32", "bf16" or "auto".
        compile: Whether layers run compiled where that is faster: "off" or "auto".
    """

    runs: tuple[str, ...]
    data: str
    split: str
    out: Path | None
    window: int = 1024
    overlap: float = 0.25
    views: Views = WHOLE
    boundary: int | None = None
    threshold: str | float | None = None
    average: int | None = None
    workers: int = 0
    device: str = "cpu"
    as_is: bool = False
    precision: str = "32"
    compile: str = "off"

    def about(self) -> dict[str, Any]:
        """What `metrics.json` says of it, beside the scores; options where they are not usual."""
        told: dict[str, Any] = {"data": self.data, "split": self.split}
        if not self.views.single:
            told |= {"scales": list(self.views.scales), "flip": self.views.flip}
        if self.average is not None:
            told["average"] = self.average
        if self.precision != "32":
            told["bits"] = self.precision
        if self.compile != "off":
            told["compile"] = self.compile
        return told


@runtime_checkable
class Voice(Protocol):
    """Who is told."""

    def say(self, line: str) -> None:
        """One line of plain text."""

    def warn(self, line: str) -> None:
        """One line of what is to be thought about."""

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything that takes time."""
