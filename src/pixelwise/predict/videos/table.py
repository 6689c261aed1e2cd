"""What was found in the frames of a clip, as CSV, row by row."""

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pixelwise.errors import InputError

FIRST = ("frame", "time")
"""The first columns; they show which files may be replaced."""


class Table:
    """A table that grows with the clip.

    Args:
        path: The file.
        columns: Beside the number of the frame and its seconds.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow([*FIRST, *columns])

    def add(self, number: int, time: Fraction, rows: Sequence[Sequence[object]]) -> None:
        """The rows of a frame."""
        self._rows.writerows([number, f"{float(time):.6g}", *row] for row in rows)

    def close(self) -> None:
        """All was written."""
        self._file.close()


def check_table(path: Path) -> None:
    """Raise an InputError where a file stands there that is no such table."""
    if not path.exists():
        return
    start = ",".join(FIRST).encode() + b","
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(start)) == start:
                return
    raise InputError(
        f"{path}: stands there, and pixelwise did not write it; choose another --out, or move it"
        " away"
    )
