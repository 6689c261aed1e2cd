"""Results as files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pixelwise import pictures
from pixelwise.metrics import Tallies
from pixelwise.outputs import Outputs
from pixelwise.tasks.class_results import csv_table


def as_json(summary: Mapping[str, Any]) -> bytes:
    """A file of numbers for machines."""
    return (json.dumps(summary, indent=2) + "\n").encode()


def picture_table(tallies: Tallies) -> bytes:
    """The scores of every picture, the worst first."""
    order, each = worst_first(tallies), tallies.each()
    rows = [[tallies.pictures[i], tallies.counted[i], *each[i]] for i in order]
    return csv_table(["picture", "counted", *(kind.name for kind in tallies.kinds)], rows)


def worst_first(tallies: Tallies) -> list[int]:
    """Rows by the main score; those without one come last."""
    sign = 1.0 if tallies.kinds[0].larger else -1.0
    main = [row[0] for row in tallies.each()]
    known = [i for i, value in enumerate(main) if value is not None]
    known.sort(key=lambda i: (sign * (main[i] or 0.0), tallies.pictures[i]))
    return known + [i for i, value in enumerate(main) if value is None]


def write(
    out: Path,
    files: Mapping[str, bytes],
    made: tuple[str, ...] = (),
    make: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write files into a folder, each whole or not at all.

    Args:
        out: The folder.
        files: Name -> content.
        made: Names of files that `make` writes.
        make: Called with the folder.

    Raises:
        InputError: Another's file stands in the way, or the folder cannot be written.
    """
    with Outputs(out, "evaluate") as outputs, outputs.writing(*files, *made):
        for name, content in files.items():
            pictures.write_bytes(out / name, content)
        make(out)
