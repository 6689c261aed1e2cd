"""The facts of a mask's file."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelwise.data.bitmaps import FORMATS
from pixelwise.data.reading import DAMAGE, read_mask, read_mask_nodata, read_numbers
from pixelwise.data.values import UNKNOWN
from pixelwise.doctor.container import open_container, without_name
from pixelwise.doctor.facts import Container, MaskFacts, Reading
from pixelwise.doctor.raw_values import MOST_VALUES, distinct, strips, targets_of, thin_share
from pixelwise.doctor.regions import region_sizes
from pixelwise.errors import InputError
from pixelwise.image_files import open_image

BORDER = 255


def mask_facts(file: Path, reading: Reading) -> tuple[MaskFacts, NDArray[Any] | None]:
    """The facts, and the raw values or colour codes; None: it cannot be read at all."""
    container, error = open_container(file)
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
        error = without_name(file, refused)
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
    values, counts, places = distinct(codes)
    most = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    kept = {int(values[i]): int(counts[i]) for i in most}
    targets, unlisted = targets_of(values, counts, coloured, reading, nodata)
    about_classes: dict[str, Any] = {}
    if targets is not None:
        known = [int(counts[targets == i].sum()) for i in range(reading.classes)]
        tidy = not error and not unlisted
        about_classes = {
            "counts": tuple(known),
            "ignored": int(counts[targets == reading.ignore_index].sum()),
            "regions": region_sizes(targets[places].reshape(codes.shape)) if tidy else {},
        }
    ramps, jumps = ({}, 0) if coloured else strips(codes)
    facts = MaskFacts(
        container,
        error,
        *_size(codes),
        str(raw.dtype),
        coloured=coloured,
        values=kept,
        distinct=len(values),
        palette=_palette(file, kept) if container.mode in {"P", "PA"} and not coloured else {},
        thin=thin_share(codes == BORDER) if not coloured and BORDER in kept else 0.0,
        unlisted=unlisted,
        content=hashlib.blake2b(raw.tobytes(), digest_size=16).hexdigest(),
        ramps=ramps,
        jumps=jumps,
        **about_classes,
    )
    return facts, codes


def _numbers(
    file: Path, container: Container, reading: Reading
) -> tuple[MaskFacts, NDArray[Any] | None]:
    try:
        raw = read_numbers(file, reading.max_megapixels)
    except InputError as refused:
        return MaskFacts(container, without_name(file, refused)), None
    finite = raw[np.isfinite(raw)] if raw.dtype.kind == "f" else raw
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    facts = MaskFacts(
        container, "", *_size(raw[0]), str(raw.dtype), distinct=len(raw), low=low, high=high
    )
    return facts, None


def _size(raw: NDArray[Any]) -> tuple[int, int]:
    return raw.shape[0], raw.shape[1]


def _read_anyway(file: Path) -> NDArray[Any] | None:
    """A mask that the library refuses, to tell what it holds."""
    with contextlib.suppress(InputError):
        raw = read_numbers(file)
        if raw.dtype.kind == "f" or len(raw) == 1:
            return raw[0]
    try:
        with open_image(file, formats=FORMATS) as image:
            if image.mode in {"LA", "PA", "RGBA"}:
                return None
            return np.array(image if image.mode in {"L", "P"} else image.convert("RGB"))
    except (*DAMAGE, Image.DecompressionBombError):
        return None


def _palette(file: Path, values: dict[int, int]) -> dict[int, int]:
    with open_image(file) as image:
        flat = image.getpalette("RGB") or []
    return {
        v: flat[3 * v] << 16 | flat[3 * v + 1] << 8 | flat[3 * v + 2]
        for v in values
        if 3 * v + 2 < len(flat)
    }


def mask_ids(file: Path, reading: Reading) -> NDArray[np.int64] | None:
    """A mask as class ids, to be looked at: what the map lacks is ignored.

    Where no map is known, the values are numbered; None: the mask cannot be read.
    """
    facts, codes = mask_facts(file, reading)
    if codes is None:
        return None
    values, counts, places = distinct(codes)
    targets, _ = targets_of(values, counts, facts.coloured, reading, None)
    if targets is None:
        targets = np.minimum(np.arange(len(values)), 254)
    targets = np.where(targets == UNKNOWN, reading.ignore_index, targets)
    return targets[places].reshape(codes.shape)
