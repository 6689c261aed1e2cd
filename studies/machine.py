"""Where and with what a benchmark ran: the columns that every CSV here begins with."""

import csv
from pathlib import Path

from pixelwise.benchmarks.machine import about


def write(path, rows):
    """Write rows as CSV, each with the machine before its own columns, unless it says its own."""
    names = dict.fromkeys(name for row in (about(), *rows) for name in row)
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=[*names], restval="")
        writer.writeheader()
        writer.writerows(about() | row for row in rows)
