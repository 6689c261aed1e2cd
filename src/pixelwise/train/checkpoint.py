"""Checkpoints that are whole or not there, and the newest that can be read."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pixelwise.errors import InputError

FOLDER = "checkpoints"
KEPT = 2
"""The newest, and the one before it in case the newest turns out to be damaged."""


def save(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state of `step` atomically and drop what is older than the last two."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"step_{step:08d}.pt"
    partial = path.with_suffix(".partial")
    # By way of memory: torch reports a full disk as an error of its own format.
    content = io.BytesIO()
    torch.save(state, content)
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    for old in _all(run)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest(run: Path, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, or None; damaged ones are named through `say`."""
    for path in _all(run):
        try:
            return path, _read(path)
        except Exception as error:  # torch.load raises many unrelated types on damaged files
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            say(f"{path} cannot be read ({reason}); going back to the checkpoint before it")
    return None


def load(path: Path) -> dict[str, Any]:
    """A checkpoint that another process of the run has read.

    Raises:
        InputError: It is not there for this one.
    """
    try:
        return _read(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read by a process of the run ({error.strerror}); put the run on a"
            " file system that all machines share"
        ) from error


def newest(run: Path) -> Path | None:
    """The newest checkpoint's path."""
    return next(iter(_all(run)), None)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def _all(run: Path) -> list[Path]:
    return sorted((run / FOLDER).glob("step_*.pt"), reverse=True)
