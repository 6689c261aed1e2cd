"""Checkpoints that are whole or not there, and the newest that can be read."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pixelwise.errors import InputError
from pixelwise.language import translate

FOLDER = "checkpoints"


def save(run: Path, step: int, state: dict[str, Any], *, keep: int = 2) -> Path:
    """Write the state of `step` atomically and drop what is older than the newest `keep`.

    Two: the newest, and the one before it in case the newest turns out to be damaged.
    """
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
    for old in newest_first(run)[keep:]:
        old.unlink(missing_ok=True)
    return path


def load_newest(run: Path, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, or None; damaged ones are named through `say`."""
    for path in newest_first(run):
        try:
            return path, load(path)
        except Damaged as error:
            say(
                translate(
                    "{path} cannot be read ({error}); going back to the checkpoint before it"
                ).format(path=path, error=error)
            )
    return None


class Damaged(Exception):
    """A checkpoint cannot be read; the message says why."""


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote.

    Raises:
        Damaged: The file cannot be read.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many unrelated types on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(reason) from error
    if not isinstance(found, dict):
        raise Damaged("it is no state of a training")
    return found


def load_shared(path: Path) -> dict[str, Any]:
    """A checkpoint that another process of the run has read.

    Raises:
        InputError: It is not there for this one.
    """
    try:
        return load(path)
    except Damaged as error:
        raise InputError(
            f"{path}: cannot be read by a process of the run ({error}); put the run on a file"
            " system that all machines share"
        ) from error


def newest(run: Path) -> Path | None:
    """The newest checkpoint's path."""
    return next(iter(newest_first(run)), None)


def newest_first(run: Path) -> list[Path]:
    """All checkpoints' paths."""
    return sorted((run / FOLDER).glob("step_*.pt"), reverse=True)
