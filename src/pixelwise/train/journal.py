"""A run's numbers as CSV files, cut back to the checkpoint on resume, and handed to its loggers.

What a hand or a spreadsheet made of the files does not stop a run: rows that cannot be read are
left out, and the file is kept aside as it was.
"""

import contextlib
import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError
from pixelwise.train.loggers.sending import Loggers

STEPS = "steps.csv"
VALIDATION = "validation.csv"
AXIS = "step"
"""The first column; its numbers rise."""
LARGEST_CELL = 2**20
MOST_DIGITS = 15
HEADLESS = f"its first line does not begin with {AXIS!r} and name each column once"


class Journal:
    """Appends rows of numbers.

    Args:
        run: The run's folder.
        step: Rows of later steps, left by a run that was cut off, are removed.
        validated: Likewise for the rows of evaluations.
        say: Told of rows that cannot be read.
        loggers: Handed every row.
    """

    def __init__(
        self,
        run: Path,
        step: int,
        validated: int,
        say: Callable[[str], None],
        loggers: Loggers,
    ) -> None:
        self._run, self._loggers = run, loggers
        for name, last in ((STEPS, step), (VALIDATION, validated)):
            cut(run / name, last, say)
        loggers.begin(step, {"train": read_rows(run / STEPS), "val": read_rows(run / VALIDATION)})
        self._waiting: list[dict[str, Any]] = []

    def step(self, row: dict[str, Any]) -> None:
        """One optimiser step; kept in memory until `flush`."""
        self._waiting.append(row)
        self._loggers.numbers("train", row)

    def validation(self, row: dict[str, Any]) -> None:
        """One evaluation."""
        self.flush()
        append(self._run / VALIDATION, [row])
        self._loggers.numbers("val", row)

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What is written: the rows of all steps, and those of all evaluations."""
        return read_rows(self._run / STEPS), read_rows(self._run / VALIDATION)

    def flush(self) -> None:
        """Write what waits."""
        append(self._run / STEPS, self._waiting)
        self._waiting = []

    def settle(self) -> None:
        """A checkpoint covers what was written."""
        self._loggers.settle()


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

    def settle(self) -> None:
        """Nothing."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV with numbers read as such; None where a cell holds none.

    There are none where there is no file; rows that cannot be read are left out.
    """
    if not path.exists():
        return []
    columns, rows, _ = _read(path)
    return [dict(zip(columns, map(_number, row), strict=True)) for row in rows]


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows at the end; columns that the file lacks are added to all of its rows.

    Either all rows are written or none.
    """
    if not rows:
        return
    rows = [{" ".join(name.splitlines()): row[name] for name in row} for row in rows]
    given = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("a+", newline="", encoding="utf-8") as file:
        file.seek(0)
        columns = next(csv.reader([file.readline()]), [])
        added = [name for name in given if name not in columns]
        if not added:
            size = file.seek(0, os.SEEK_END)
            try:
                file.write(_text(columns, rows, head=False))
                file.flush()
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
            return
    columns, before, _ = _read(path)
    old = [dict(zip(columns, row, strict=True)) for row in before]
    _replace(path, _text([*columns, *added], [*old, *rows]))


def cut(path: Path, last: int, say: Callable[[str], None]) -> None:
    """Remove the rows beyond a step, and what cannot be read, of which `say` is told."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; move it away")
    if not path.exists():
        return
    columns, rows, lost = _read(path)
    if lost:
        number = 1
        while (aside := path.with_name(f"{path.stem}.damaged-{number}.csv")).exists():
            number += 1
        aside.write_bytes(path.read_bytes())
        say(f"{path}: {lost}; the file as it was is {aside.name}")
    if not columns:
        path.unlink()
        return
    kept = [dict(zip(columns, row, strict=True)) for row in rows if int(row[0]) <= last]
    _replace(path, _text(columns, kept))


def _read(path: Path) -> tuple[list[str], list[list[str]], str]:
    """Columns, rows in the order of their steps, and what is lost, in words.

    A last line that a kill cut off is no loss: no checkpoint covers it.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    *lines, torn = text.split("\n")
    if not lines:
        return [], [], "" if AXIS.startswith(torn[: len(AXIS)]) else HEADLESS
    columns, *found = [_cells(line) for line in lines]
    if columns[:1] != [AXIS] or len({*columns}) < len(columns):
        return [], [], HEADLESS
    by_step: dict[int, list[str]] = {}
    lost = 0
    for row in found:
        step = _step(row, len(columns))
        if step is not None:
            lost += step in by_step and by_step[step] != row
            by_step.setdefault(step, row)
        elif row:
            lost += 1
    if (step := _step(last := _cells(torn), len(columns))) is not None:
        by_step.setdefault(step, last)  # of an editor that ends files without an end of line
    rows = [row for _, row in sorted(by_step.items())]
    return columns, rows, f"{lost} rows cannot be read, and are left out" if lost else ""


def _cells(line: str) -> list[str]:
    csv.field_size_limit(LARGEST_CELL)
    try:
        return next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return ["", ""]


def _step(row: list[str], columns: int) -> int | None:
    """The step of a row with a cell for each column; None where it is no such row."""
    if len(row) != columns or not row or any("\ufffd" in cell for cell in row):
        return None
    number = row[0]
    whole = number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS
    return int(number) if whole else None


def _number(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return None


def _text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, head: bool = True) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\r\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
