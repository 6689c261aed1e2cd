"""Pictures that are decoded once: their numbers are kept in files, and only what is used is read.

A sample's tensors are kept as they are, so that what is learnt from them does not change. Which
samples are kept follows from their sizes alone: the first ones that fit. Any number of processes
may read and write at once: a sample's files appear one by one, the one that says that all are there
at last.
"""

import atexit
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from pixelwise.data.cache_size import CacheSize
from pixelwise.data.points.source import LabelledFigures, PointSample
from pixelwise.data.source import LabelledPictures, Progress, Sample, Split
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.outputs import is_running
from pixelwise.shortage import memory_here

SHARED = Path("/dev/shm")
"""Files that lie in memory, where the system has such."""
PART = 0.5
"""At most this part of what is free is filled: others need some as well."""
PREFIX = "pixelwise-"
HOUR = 3600.0
"""Seconds after which nobody writes a file any more."""
WHOLE = ".json"
"""The file that says that a sample is whole, and holds what is no tensor."""
AROUND = 4096
"""Bytes that a sample takes beside its pixels."""
SMALL = (torch.uint8, torch.int16)
"""Types that class numbers are kept in, where they fit."""


class Kept:
    """A split whose samples are kept in a folder; in all else it is that split.

    Args:
        split: The pictures.
        folder: Where they are kept.
        names: What a sample's files are called; None: it is not kept.
    """

    def __init__(self, split: Split, folder: Path, names: tuple[str | None, ...]) -> None:
        self._split, self._folder, self._names = split, folder, names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._split, name)

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> Any:
        name = self._names[index]
        if name is None:
            return self._split[index]
        path = self._folder / name
        sample = _read(path)
        if sample is None:
            sample = self._split[index]
            with contextlib.suppress(OSError):  # a full disk: it is read anew each time
                _write(path, sample)
        return sample

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> Any:
        """As the split does, by the samples that are kept."""
        check: Any = type(self._split).check
        return check(self, progress, workers=workers)


LabelledPictures.register(Kept)
LabelledFigures.register(Kept)


def keep(splits: Mapping[str, Split], size: CacheSize) -> tuple[dict[str, Split], str]:
    """The splits with their samples kept, the first ones that fit; and a line about it.

    In memory they are kept as long as this process runs; on disk for later ones too, in
    `cache_folder()`, where they count as other samples once a file of theirs has changed.

    Args:
        splits: By name, the most used first.
        size: Where, and how much.
    """
    folder, free = _place(size)
    left = most = min(size.most, int(PART * free))
    names: dict[str, list[str | None]] = {}
    for split, pictures in splits.items():
        names[split], per_pixel = [], _per_pixel(pictures)
        for i in range(len(pictures)):
            left, name = _chosen(pictures, split, i, left, size.place, per_pixel)
            names[split].append(name)
    if size.place == "disk":
        _make_room(folder, {name for some in names.values() for name in some if name}, size.most)
    kept = sum(name is not None for some in names.values() for name in some)
    total = sum(map(len, splits.values()))
    told = translate("cache   {most:.2g} GB in {place}: {kept} of {total} pictures").format(
        most=(most - left) / 1e9, place=size.place, kept=kept, total=total
    )
    if most < size.most and kept < total:
        told += translate("; {free:.2g} GB are free there, and half of it is used").format(
            free=free / 1e9
        )
    found = {
        split: cast(Split, Kept(pictures, folder, tuple(names[split])))
        for split, pictures in splits.items()
    }
    return found, told


def cache_folder() -> Path:
    """Where decoded pictures are kept on disk."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pixelwise" / "decoded"


def _place(size: CacheSize) -> tuple[Path, int]:
    """The folder, and how many bytes are free there."""
    if size.place == "disk":
        folder = cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_halves(folder)
        except OSError as error:
            raise InputError(
                f"cache='disk': {folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME"
                " to another folder, or take memory"
            ) from error
        return folder, shutil.disk_usage(folder).free + sum(_sizes(folder).values())
    base = SHARED if SHARED.is_dir() and os.access(SHARED, os.W_OK) else Path(tempfile.gettempdir())
    _remove_orphans(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    atexit.register(_remove_own, folder, os.getpid())
    free = shutil.disk_usage(folder).free
    here = memory_here()
    return folder, free if here is None else min(free, here)


def _remove_halves(folder: Path) -> None:
    """Remove files that a process which was killed left half-written."""
    for path in folder.glob("*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > HOUR:
                path.unlink()


def _remove_orphans(base: Path) -> None:
    """Free the memory of processes that were killed."""
    for folder in base.glob(f"{PREFIX}*-*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not where a process that loads pictures ends
        shutil.rmtree(folder, ignore_errors=True)


def _chosen(
    pictures: Split, split: str, index: int, left: int, place: str, per_pixel: float
) -> tuple[int, str | None]:
    """What is left of the budget, and the name of a sample that is kept."""
    origin = f"{split} {index}" if place == "memory" else pictures.origin(index)
    if origin is None:
        return left, None
    height, width = pictures.size(index)
    needs = int(height * width * per_pixel) + AROUND
    if needs > left:
        return left, None
    return left - needs, hashlib.sha256(origin.encode()).hexdigest()[:32]


def _per_pixel(pictures: Split) -> float:
    """Bytes that a pixel takes, by the first sample."""
    sample = pictures[0]
    tensors = [getattr(sample, field.name) for field in dataclasses.fields(sample)]
    small = [_smaller(one) for one in tensors if isinstance(one, Tensor)]
    found = sum(one.numel() * one.element_size() for one in small)
    return found / max(1, sample.image[0].numel())


def _sizes(folder: Path) -> dict[Path, int]:
    """The files of a folder, and their bytes."""
    found = {}
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process removed it
            found[path] = path.stat().st_size
    return found


def _make_room(folder: Path, wanted: set[str], most: int) -> None:
    """Remove samples that are not wanted, the oldest first, until the others fit."""
    sizes = _sizes(folder)
    by_name: dict[str, list[Path]] = {}
    for path in sizes:
        by_name.setdefault(path.name.partition(".")[0], []).append(path)
    total = sum(sizes.values())
    ages: dict[str, float] = {}
    for name, paths in by_name.items():
        with contextlib.suppress(OSError):
            if name in wanted:
                for path in paths:
                    os.utime(path)
            else:
                ages[name] = max(path.stat().st_mtime for path in paths)
    for name in sorted(ages, key=lambda name: ages[name]):
        if total <= most:
            return
        for path in by_name[name]:
            total -= sizes[path]
            path.unlink(missing_ok=True)


def _write(path: Path, sample: Any) -> None:
    """Keep a sample; its last file says that it is whole."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(sample):
        value = getattr(sample, field.name)
        if isinstance(value, Tensor):
            small = _smaller(value)
            plain[field.name] = {"type": str(value.dtype).removeprefix("torch.")}
            _appear(path.with_name(f"{path.name}.{field.name}.npy"), _npy(small.numpy()))
        else:
            plain[field.name] = {"value": value}
    _appear(path.with_name(path.name + WHOLE), json.dumps(plain).encode())


def _read(path: Path) -> Any:
    """A sample that is kept whole; None: there is none, or it is damaged."""
    try:
        plain = json.loads(path.with_name(path.name + WHOLE).read_bytes())
    except (OSError, ValueError):
        return None
    fields: dict[str, Any] = {}
    try:
        for name, about in plain.items():
            if "value" in about:
                value = about["value"]
                fields[name] = tuple(value) if isinstance(value, list) else value
                continue
            array = np.load(path.with_name(f"{path.name}.{name}.npy"), mmap_mode="c")
            fields[name] = torch.from_numpy(array).to(getattr(torch, about["type"]))
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
        return None
    kind = PointSample if "points" in fields else Sample
    return kind(**fields) if fields.keys() == {f.name for f in dataclasses.fields(kind)} else None


def _smaller(values: Tensor) -> Tensor:
    """Class numbers in fewer bytes, where they stay as they are."""
    if values.dtype != torch.int64:
        return values
    for dtype in SMALL:
        if torch.equal(values, values.to(dtype).to(torch.int64)):
            return values.to(dtype)
    return values


def _npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(values))
    return content.getvalue()


def _appear(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
