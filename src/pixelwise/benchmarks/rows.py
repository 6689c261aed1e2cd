"""One measurement as a row, and the file that rows are added to as they come."""

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pixelwise.benchmarks.settings import OURS

RESULTS = "results.csv"


@dataclass(frozen=True)
class Row:
    """One form of one case at one size in one mode; None where there is no number."""

    name: str
    size: str
    pixels: int
    mode: str
    form: str
    median_ms: float | None
    min_ms: float | None
    max_ms: float | None
    n: int
    ratio: float | None
    """This form's time over ours: above 1 ours is quicker."""
    peak_mb: float | None
    predicted_mb: float | None
    gflop: float | None
    parameters: int | None
    floor_ms: float
    over_floor: float | None
    problem: str

    @property
    def is_ours(self) -> bool:
        """Whether others are compared with this one."""
        return self.form == OURS


class RowFile:
    """A CSV file that is complete after every row; its first columns say where this ran."""

    def __init__(self, path: Path, about: Mapping[str, object]) -> None:
        self.path, self.about = path, about
        self._names = [*about, "peer", *(field.name for field in dataclasses.fields(Row))]
        with path.open("w", newline="") as file:
            csv.writer(file).writerow(self._names)

    def add(self, row: Row, peer: str) -> None:
        """Write one row."""
        found = {**self.about, "peer": peer, **dataclasses.asdict(row)}
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([_cell(found[name]) for name in self._names])


def _cell(value: object) -> object:
    if value is None:
        return ""
    return float(f"{value:.5g}") if isinstance(value, float) else value
