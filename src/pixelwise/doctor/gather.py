"""Reads every file once, in several processes, and keeps facts about it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from pixelwise.data.bitmaps import FORMATS
from pixelwise.data.fitting import extremes
from pixelwise.data.reading import (
    DAMAGE,
    Picture,
    read_mask,
    read_mask_nodata,
    read_numbers,
    read_picture,
)
from pixelwise.data.survey import HUGE, SENTINELS
from pixelwise.data.values import UNKNOWN, ValueMap
from pixelwise.data.workers import ending_workers, quiet_worker
from pixelwise.doctor.container import look
from pixelwise.doctor.facts import (
    THUMB,
    Container,
    Job,
    MaskFacts,
    PairFacts,
    PictureFacts,
    Reading,
)
from pixelwise.doctor.fit import Fit, measure
from pixelwise.doctor.regions import region_sizes
from pixelwise.errors import InputError

MOST_VALUES = 1024
BORDER = 255
RING = 6
"""Pixels that a drawn border is wide, at most."""
FEW_JOBS = 48
"""Below, other processes take longer to start than they save."""


class Jobs(Dataset[PairFacts]):
    """The facts of each job; item i reads its files."""

    def __init__(self, jobs: Sequence[Job], reading: Reading) -> None:
        self.jobs, self.reading = jobs, reading

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: int) -> PairFacts:
        return facts_of(self.jobs[index], self.reading)


def gather(
    jobs: Sequence[Job],
    reading: Reading,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[PairFacts]:
    """The facts of all jobs, in their order.

    Raises:
        InputError: A process that reads was killed.
    """
    found = []
    try:
        with ending_workers():
            for facts in _read(jobs, reading, workers if len(jobs) >= FEW_JOBS else 0):
                found.append(facts)
                if progress is not None:
                    progress(len(found), len(jobs))
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            f"workers={workers}: a process that reads files was killed, perhaps for lack of memory;"
            " take fewer"
        ) from error
    return found


def _read(jobs: Sequence[Job], reading: Reading, workers: int) -> Iterator[PairFacts]:
    yield from DataLoader(
        Jobs(jobs, reading),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=quiet_worker,
    )


def _as_it_is(facts: Any) -> Any:
    return facts


def facts_of(job: Job, reading: Reading) -> PairFacts:
    """Read the files of a job; nothing about them raises."""
    picture, grey = _picture(job.picture, reading) if job.picture else (None, None)
    mask, raw = _mask(job.mask, reading) if job.mask else (None, None)
    fit: Fit | None = None
    if grey is not None and raw is not None and mask is not None and not mask.container.lossy:
        fit = measure(grey, raw)
    return PairFacts(job.split, str(job.picture or ""), str(job.mask or ""), picture, mask, fit)


def _container(file: Path) -> tuple[Container, str]:
    try:
        return look(file), ""
    except OSError as error:
        return Container("", 0, ""), f"cannot be read ({error.strerror})"


def _picture(file: Path, reading: Reading) -> tuple[PictureFacts, UInt8[np.ndarray, "h w"] | None]:
    container, error = _container(file)
    if error or container.told:
        return PictureFacts(container, error or f"is {container.told}"), None
    try:
        read = read_picture(file, nodata=reading.nodata, max_megapixels=reading.max_megapixels)
    except InputError as refused:
        return PictureFacts(container, _without(file, refused)), None
    grey = _grey(read)
    bands, height, width = read.values.shape
    low, high = extremes(read) or (0.0, 0.0)
    values = read.values.numpy()
    nan = float((~np.isfinite(values)).any(0).mean()) if values.dtype.kind == "f" else 0.0
    return PictureFacts(
        container,
        "",
        height,
        width,
        bands,
        read.dtype,
        low,
        high,
        0.0 if read.missing is None else float(read.missing.float().mean()),
        nan,
        _sentinel(read, low, high),
        _thumb(grey),
    ), grey


def _without(file: Path, error: InputError) -> str:
    """A message without the file's name, which is told beside it."""
    return " ".join(str(error).replace(f"{file}: ", "").replace(str(file), file.name).split())


def _sentinel(read: Picture, low: float, high: float) -> float | None:
    if read.dtype == "uint8":
        return None
    return next((v for v in (low, high) if v in SENTINELS or abs(v) >= HUGE), None)


def _grey(read: Picture) -> UInt8[np.ndarray, "h w"]:
    """All bands as one, over the range of the picture."""
    values = read.values.numpy().astype(np.float64).mean(0)
    if read.dtype == "uint8":
        return values.astype(np.uint8)
    finite = np.isfinite(values)
    if read.missing is not None:
        finite &= ~read.missing.numpy()
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[finite], (1, 99))
    values = np.where(finite, values, low)
    return (np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def _thumb(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "_ _"] | None:
    small = np.asarray(Image.fromarray(grey).resize((THUMB, THUMB), Image.Resampling.BOX))
    return small.copy() if float(small.std()) > 2 else None


def _mask(file: Path, reading: Reading) -> tuple[MaskFacts, NDArray[Any] | None]:
    container, error = _container(file)
    if error or container.told:
        return MaskFacts(container, error or f"is {container.told}"), None
    if reading.numbers:
        return _numbers(file, container, reading)
    by_colour = reading.values is not None and reading.values.by_colour
    nodata = None
    try:
        raw = read_mask(file, colours=by_colour, max_megapixels=reading.max_megapixels)
        nodata = read_mask_nodata(file)
    except InputError as refused:
        error = _without(file, refused)
        found = _read_anyway(file)
        if found is None:
            return MaskFacts(container, error), None
        raw = found
    if raw.dtype.kind == "f":
        return MaskFacts(container, error, *_size(raw), str(raw.dtype)), None
    codes = raw.astype(np.int64)
    coloured = raw.ndim == 3
    if coloured:
        codes = codes[..., 0] << 16 | codes[..., 1] << 8 | codes[..., 2]
    values, counts, places = _distinct(codes)
    most = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    kept = {int(values[i]): int(counts[i]) for i in most}
    targets, unlisted = _targets(values, counts, coloured, reading, nodata)
    about_classes: dict[str, Any] = {}
    if targets is not None:
        known = [int(counts[targets == i].sum()) for i in range(reading.classes)]
        tidy = not error and not unlisted
        about_classes = {
            "counts": tuple(known),
            "ignored": int(counts[targets == reading.ignore_index].sum()),
            "regions": region_sizes(targets[places].reshape(codes.shape)) if tidy else {},
        }
    facts = MaskFacts(
        container,
        error,
        *_size(codes),
        dtype=str(raw.dtype),
        coloured=coloured,
        values=kept,
        distinct=len(values),
        palette=_palette(file, kept) if container.mode in {"P", "PA"} and not coloured else {},
        thin=_thin(codes == BORDER) if not coloured and BORDER in kept else 0.0,
        unlisted=unlisted,
        **about_classes,
    )
    return facts, codes


def _numbers(
    file: Path, container: Container, reading: Reading
) -> tuple[MaskFacts, NDArray[Any] | None]:
    try:
        raw = read_numbers(file, reading.max_megapixels)
    except InputError as refused:
        return MaskFacts(container, _without(file, refused)), None
    return MaskFacts(container, "", *_size(raw[0]), dtype=str(raw.dtype), distinct=len(raw)), None


def _size(raw: NDArray[Any]) -> tuple[int, int]:
    return raw.shape[0], raw.shape[1]


def _read_anyway(file: Path) -> NDArray[Any] | None:
    """A mask that the library refuses, to tell what it holds."""
    with contextlib.suppress(InputError):
        raw = read_numbers(file)
        if raw.dtype.kind == "f" or len(raw) == 1:
            return raw[0]
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.mode in {"LA", "PA", "RGBA"}:
                return None
            return np.array(image if image.mode in {"L", "P"} else image.convert("RGB"))
    except (*DAMAGE, Image.DecompressionBombError):
        return None


def _distinct(
    codes: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The different values, how often each occurs, and which of them each pixel has."""
    flat = codes.ravel()
    low, high = int(flat.min()), int(flat.max())
    if high - low >= 2**16:
        values, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
        return values, counts, places
    every = np.bincount(flat - low, minlength=high - low + 1)
    present = np.flatnonzero(every)
    number = np.zeros(len(every), np.int64)
    number[present] = np.arange(len(present))
    return present + low, every[present], number[flat - low]


def _targets(
    values: NDArray[np.int64],
    counts: NDArray[np.int64],
    coloured: bool,
    reading: Reading,
    nodata: float | None,
) -> tuple[NDArray[np.int64] | None, dict[int, int]]:
    """The class id of each value as the map has it, and those that it lacks."""
    if reading.values is None:
        return None, {}
    table = table_of(reading.values, coloured=coloured)
    found = [look_up(table, int(value), coloured, reading.values) for value in values]
    targets = np.array(found, np.int64)
    if nodata is not None and not coloured:
        targets[(targets == UNKNOWN) & (values == nodata)] = reading.ignore_index
    lacking = np.flatnonzero(targets == UNKNOWN)
    lacking = lacking[np.argsort(-counts[lacking], kind="stable")][:MOST_VALUES]
    return targets, {int(values[i]): int(counts[i]) for i in lacking}


def table_of(values: ValueMap, *, coloured: bool) -> dict[int, int]:
    """Raw value or colour code -> class id."""
    if coloured and values.colours:
        return {r << 16 | g << 8 | b: target for (r, g, b), target in values.colours.items()}
    return values.values


def look_up(table: dict[int, int], value: int, coloured: bool, values: ValueMap) -> int:
    """The id of a value; grey colours are numbers where the map has no colours."""
    if coloured and not values.colours:
        red, rest = value >> 16, value & 0xFFFF
        return table.get(red, UNKNOWN) if rest == red << 8 | red else UNKNOWN
    return table.get(value, UNKNOWN)


def _palette(file: Path, values: dict[int, int]) -> dict[int, int]:
    with Image.open(file) as image:
        flat = image.getpalette("RGB") or []
    return {
        v: flat[3 * v] << 16 | flat[3 * v + 1] << 8 | flat[3 * v + 2]
        for v in values
        if 3 * v + 2 < len(flat)
    }


def _thin(found: NDArray[np.bool_]) -> float:
    """Share of pixels that are not deep inside."""
    deep = found
    for axis in (0, 1):
        padded = np.pad(deep, [(RING, RING) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        sums = np.cumsum(padded, axis=axis, dtype=np.int64)
        sums = np.insert(sums, 0, 0, axis=axis)
        width = 2 * RING + 1
        length = deep.shape[axis]
        upper = np.take(sums, range(width, width + length), axis=axis)
        deep = upper - np.take(sums, range(length), axis=axis) == width
    return 1.0 - float(deep.sum()) / max(1, int(found.sum()))


def mask_ids(file: Path, reading: Reading) -> NDArray[np.int64] | None:
    """A mask as class ids, to be looked at: what the map lacks is ignored.

    Where no map is known, the values are numbered; None: the mask cannot be read.
    """
    facts, codes = _mask(file, reading)
    if codes is None:
        return None
    values, counts, places = _distinct(codes)
    targets, _ = _targets(values, counts, facts.coloured, reading, None)
    if targets is None:
        targets = np.minimum(np.arange(len(values)), 254)
    targets = np.where(targets == UNKNOWN, reading.ignore_index, targets)
    return targets[places].reshape(codes.shape)
