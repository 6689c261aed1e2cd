"""A run's numbers as CSV and TensorBoard logs, cut back to the checkpoint on resume."""

import csv
from pathlib import Path
from typing import Any

STEPS = "steps.csv"
VALIDATION = "validation.csv"


class Journal:
    """Appends rows of numbers.

    Args:
        run: The run's folder.
        step: Rows of later steps, left by a run that was cut off, are removed.
        validated: Likewise for the rows of evaluations.
    """

    def __init__(self, run: Path, step: int, validated: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._run = run
        _cut(run / STEPS, step)
        _cut(run / VALIDATION, validated)
        self._waiting: list[dict[str, Any]] = []
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def step(self, row: dict[str, Any]) -> None:
        """One optimiser step; kept in memory until `flush`."""
        self._waiting.append(row)
        for name in ("loss", "lr"):
            self._board.add_scalar(f"train/{name}", row[name], row["step"])

    def validation(self, row: dict[str, Any]) -> None:
        """One evaluation."""
        self.flush()
        _append(self._run / VALIDATION, [row])
        for name, value in row.items():
            if value is not None and name not in ("step", "epoch"):
                self._board.add_scalar(f"val/{name}", value, row["step"])

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What is written: the rows of all steps, and those of all evaluations."""
        return read_rows(self._run / STEPS), read_rows(self._run / VALIDATION)

    def flush(self) -> None:
        """Write what waits."""
        _append(self._run / STEPS, self._waiting)
        self._waiting = []
        self._board.flush()

    def close(self) -> None:
        """Write what waits and close the logs."""
        self.flush()
        self._board.close()


class Unwritten(Journal):
    """Of all processes of a run but the first."""

    def __init__(self) -> None:
        pass

    def step(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def validation(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """None: the first process warns."""
        return [], []

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV with numbers read as such; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None if text == "" else text


def _append(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)


def _cut(path: Path, step: int) -> None:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = file.readlines()
    header, *rest = lines or [""]
    kept = []
    for line in rest:
        first = line.partition(",")[0]
        # A line cut off by a kill has no end; it is beyond the checkpoint anyway.
        if line.endswith("\n") and first.isdigit() and int(first) <= step:
            kept.append(line)
    partial = path.with_suffix(".partial")
    partial.write_text("".join([header, *kept]), encoding="utf-8", newline="")
    partial.replace(path)
