"""Folders and files that a command is given, looked at before anything heavy is loaded."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from pixelwise.checks import in_range
from pixelwise.data.drawn import is_drawn
from pixelwise.devices import check_device
from pixelwise.errors import InputError
from pixelwise.export.named import SUFFIXES, is_exported

NAMED = 5
"""So many runs are named in place of one that is not there."""
MODEL = ("config.json", "model.safetensors")


def check_model(text: str, *, exported: bool = False) -> None:
    """Raise an InputError where a folder holds no network; a name on the Hub passes.

    Args:
        text: As the user wrote it.
        exported: Whether an exported file is taken too.
    """
    folder = Path(text)
    if exported and is_exported(text):
        if not _is(folder, "file"):
            raise InputError(f"{folder}: no such file; pixelwise export RUN writes one")
        return
    if is_hub_name(text):
        return
    check_run(text)
    for name in MODEL:
        if not (folder / name).is_file():
            begun = (folder / "config.yaml").is_file()
            remedy = f"pixelwise train --resume {text}" if begun else "check the folder"
            raise InputError(f"{folder}: no {name} in it, so no network yet; {remedy}")


def check_run(text: str) -> None:
    """Raise an InputError, which names the nearest runs, where there is no such folder."""
    folder = Path(text)
    if _is(folder, "dir"):
        return
    if _is(folder, "file"):
        if is_exported(text):
            raise InputError(
                f"{folder}: is an exported file, which 'predict' and 'evaluate' take; give the"
                " folder of the run that it was exported from"
            )
        raise InputError(f"{folder}: is a file; give the folder of the run, {folder.parent}")
    near = _nearest(folder)
    remedy = (
        f"did you mean {', '.join(near)}?" if near else "there are no runs here, check the path"
    )
    raise InputError(f"{folder}: no such folder, so no run with a config.yaml; {remedy}")


def is_hub_name(text: str) -> bool:
    """Whether it can only be OWNER/NAME on the Hub: two words, and no such folder here."""
    owner, slash, _ = text.partition("/")
    plain = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) is not None
    file = Path(text).suffix.lower() in SUFFIXES
    return plain and bool(slash) and not Path(owner).exists() and not file


def refuse_given(found: Namespace, usual: Mapping[str, Any], told: str) -> None:
    """Raise an InputError where an option was given that does not fit.

    Args:
        found: What was parsed.
        usual: Options, and their values where nothing is said.
        told: Why, and what to do.
    """
    for name, value in usual.items():
        if getattr(found, name) != value:
            raise InputError(f"{name}={getattr(found, name)!r}: {told}")


def check_pictures(inputs: Sequence[str]) -> None:
    """Raise an InputError for the first path that is not there and is no pattern."""
    for text in inputs:
        path = Path(text)
        if not text.strip():
            raise InputError(f"pictures={text!r}: is empty; give files, folders or patterns")
        if not (_is(path, "file") or _is(path, "dir") or any(mark in text for mark in "*?[")):
            raise InputError(f"{path}: no such file or folder; check the path")


def check_data(text: str) -> None:
    """Raise an InputError where a data set cannot be there."""
    if text and not is_drawn(text) and not (_is(Path(text), "file") or _is(Path(text), "dir")):
        raise InputError(
            f"data={text!r}: nothing there; give a data.yaml, a folder with one, or 'scenes'"
        )


def check_out(text: str | None, run: str | None = None) -> None:
    """Raise an InputError where an output folder cannot be one, or a run has no folder here."""
    if text is None and run is not None and is_hub_name(run):
        near = _nearest(Path(run), newest=False)
        meant = f"did you mean {', '.join(near)}? " if near else ""
        raise InputError(
            f"{run}: no such folder; {meant}For a model on the Hub say where to write: --out FOLDER"
        )
    if text is not None and (not text.strip() or _is(Path(text), "file")):
        raise InputError(f"out={text!r}: must be a folder; choose another --out")


def check_numbers(*, window: int, workers: int = 0, device: str = "auto") -> None:
    """Raise an InputError for what flags of several commands may not be."""
    in_range(32, 1e6, window=window)
    in_range(0, 256, workers=workers)
    check_device(device)


def _is(path: Path, kind: str) -> bool:
    try:
        return path.is_file() if kind == "file" else path.is_dir()
    except (OSError, ValueError) as error:  # a name too long, or with a zero in it
        told = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{str(path)[:80]!r}: no path ({told}); check it") from None


def _nearest(folder: Path, *, newest: bool = True) -> list[str]:
    """Runs here whose names are like that of a folder that is not there, or else the newest."""
    beside = list(folder.parent.iterdir()) if folder.parent.is_dir() else []
    places = [*beside, *Path("runs").glob("*/*"), *Path().glob("*")]
    runs = {str(p): p for p in places if (p / "config.yaml").is_file() or (p / MODEL[0]).is_file()}
    by_name: dict[str, list[str]] = {}
    for run in runs:
        by_name.setdefault(Path(run).name.lower(), []).append(run)
    close = difflib.get_close_matches(folder.name.lower(), by_name, n=NAMED)
    found = [run for name in close for run in by_name[name]]
    if not found and newest:
        found = sorted(runs, key=lambda run: runs[run].stat().st_mtime, reverse=True)
    return list(dict.fromkeys(found))[:NAMED]
