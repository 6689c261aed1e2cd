"""The facts of a picture's file."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pixelwise.data.fitting import extremes
from pixelwise.data.reading import Picture, read_picture
from pixelwise.data.survey import HUGE, SENTINELS
from pixelwise.doctor.container import open_container, without_name
from pixelwise.doctor.facts import THUMB, PictureFacts, Reading
from pixelwise.errors import InputError


def picture_facts(
    file: Path, reading: Reading
) -> tuple[PictureFacts, UInt8[np.ndarray, "h w"] | None]:
    """The facts, and the picture in grey; None: it cannot be read."""
    container, error = open_container(file)
    if error or container.told:
        return PictureFacts(container, error or f"is {container.told}"), None
    try:
        read = read_picture(file, nodata=reading.nodata, max_megapixels=reading.max_megapixels)
    except InputError as refused:
        return PictureFacts(container, without_name(file, refused)), None
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
        int(np.count_nonzero(np.bincount(grey.ravel(), minlength=256))),
        _thumb(grey),
    ), grey


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
