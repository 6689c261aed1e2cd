"""Finished rows of windows of one output, each in a file of its own, until all are there.

A row's file appears when it is whole. So a run that was killed goes on with the next row, and what
is put together in the end does not depend on how often that happened.
"""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.outputs import alone
from pixelwise.predict.rasters.grid import Grid

PLAN, LOST, WHOLE = "plan.json", "lost.json", "whole.tif"
EPOCH = (1980, 1, 1, 0, 0, 0)
LEVEL = 1
Place = tuple[int, int, int, int]
"""(top, left, height, width) of a part of a raster."""


class Parts:
    """The rows of an output.

    Args:
        folder: Where they are; made if need be.
        grid: The windows.
        bands: Of the output.
        dtype: Likewise, as numpy names it.
    """

    def __init__(self, folder: Path, grid: Grid, bands: int, dtype: str) -> None:
        self.folder, self.grid, self.bands, self.dtype = folder, grid, bands, np.dtype(dtype)
        self._open: zipfile.ZipFile | None = None
        self._held = ExitStack()

    def begin(self, plan: Mapping[str, Any], lost: dict[Place, None] | None) -> tuple[int, str]:
        """Keep the rows of an earlier run with this very plan; remove others.

        Args:
            plan: What makes the rows what they are.
            lost: Is given the parts of the raster that rows lack; None: none may lack any.

        Returns:
            How many rows are there already, and what is to be said of an earlier run.

        Raises:
            InputError: Another process writes here; the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(alone(self.folder))
            said = self._dropped(plan, lost)
            for unfinished in self.folder.glob("*.partial"):
                unfinished.unlink()
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another --out"
            ) from error
        there = 0
        while self._path(there).is_file():
            there += 1
        if there:
            said = translate("goes on: {there} of {rows} rows of windows are there").format(
                there=there, rows=self.grid.rows
            )
            holes = self.folder / LOST
            if lost is not None and holes.is_file():
                lost.update(dict.fromkeys(map(tuple, json.loads(holes.read_text("ascii")))))
        return there, said

    def _dropped(self, plan: Mapping[str, Any], lost: dict[Place, None] | None) -> str:
        """Remove the rows of another plan; returns why, or nothing where there were none."""
        told = json.dumps(dict(plan), indent=1, sort_keys=True, ensure_ascii=False)
        path, holes = self.folder / PLAN, self.folder / LOST
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        changed = []
        if before != told:
            changed = _different(before, json.loads(told))
        elif lost is None and holes.is_file():
            changed = ["broken"]
        else:
            return ""
        rows = [*self.folder.glob("row_*")]
        for old in (*rows, holes):
            old.unlink(missing_ok=True)
        path.write_text(told, encoding="utf-8")
        whole = [old for old in rows if old.suffix != ".partial"]
        if not whole:
            return ""
        return translate(
            "begins anew, without {whole} rows of a run with another {changed}"
        ).format(whole=len(whole), changed=", ".join(changed))

    def missing(self) -> list[int]:
        """The rows that are not there yet."""
        return [row for row in range(self.grid.rows) if not self._path(row).is_file()]

    def content(self, row: int) -> bytes:
        """The file of a whole row."""
        return self._path(row).read_bytes()

    def put(self, row: int, content: bytes, lost: Collection[Place] = ()) -> None:
        """A row that was written elsewhere, as `content` gives it, whole but for what was lost."""
        partial = self._path(row).with_suffix(".partial")
        partial.write_bytes(content)
        self._appear(row, lost)

    def write(self, row: int, left: int, values: NDArray[Any]) -> None:
        """The part (bands, h, w) of a row that begins at a column of pixels."""
        if self._open is None:
            self._open = zipfile.ZipFile(
                self._path(row).with_suffix(".partial"),
                "w",
                zipfile.ZIP_DEFLATED,
                compresslevel=LEVEL,
            )
        for band, numbers in enumerate(values):
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(numbers))
            entry = zipfile.ZipInfo(f"{band}/{left:08d}.npy", EPOCH)
            self._open.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, LEVEL)

    def end(self, row: int, lost: Collection[Place] = ()) -> None:
        """A row is whole, but for what was lost so far."""
        assert self._open is not None
        self._open.close()
        self._open = None
        self._appear(row, lost)

    def _appear(self, row: int, lost: Collection[Place]) -> None:
        if lost:
            (self.folder / LOST).write_text(json.dumps([*lost]), encoding="ascii")
        partial = self._path(row).with_suffix(".partial")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self._path(row))

    def band(self, band: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """The rows of a band from top to bottom: first row of pixels, and numbers (h, width)."""
        for row in range(self.grid.rows):
            height = self.grid.until_row(row) - self.grid.tops[row]
            found = np.empty((height, self.grid.width), self.dtype)
            with zipfile.ZipFile(self._path(row)) as file:
                for name in file.namelist():
                    number, _, place = name.partition("/")
                    if int(number) == band:
                        part = np.load(io.BytesIO(file.read(name)))
                        left = int(place.removesuffix(".npy"))
                        found[:, left : left + part.shape[1]] = part
            yield self.grid.tops[row], found

    def remove(self) -> None:
        """They are not needed any more."""
        for old in self.folder.glob("*"):
            old.unlink()
        shutil.rmtree(self.folder)
        self._held.close()

    def close(self) -> None:
        """Leave them for the next run."""
        if self._open is not None:
            with suppress(OSError):  # what stopped the run is told, not what follows from it
                self._open.close()
            self._open = None
        self._held.close()

    def _path(self, row: int) -> Path:
        return self.folder / f"row_{row:06d}"


def _different(before: str, plan: Mapping[str, Any]) -> list[str]:
    """The names of what is not as it was."""
    try:
        old = dict(json.loads(before))
    except ValueError:  # a kill cut it off
        return ["plan"]
    return sorted(name for name in {*old, *plan} if old.get(name) != plan.get(name))
