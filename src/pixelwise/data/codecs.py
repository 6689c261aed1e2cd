"""Compressions of TIFF that tifffile leaves to a further package, by way of Pillow."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelwise.errors import InputError
from pixelwise.image_files import open_image
from pixelwise.shortage import memory_here

LOSSY = frozenset({6, 7, 34892, 50001})
"""Compressions that blur class ids: JPEG, and WebP, of which none can know whether it did."""
MODES = {
    ("bool", 1): "1",
    ("uint8", 1): "L",
    ("uint8", 3): "RGB",
    ("uint8", 4): "RGBA",
    ("uint16", 1): "I;16",
    ("float32", 1): "F",
}
"""What Pillow decodes to the same numbers as tifffile."""
MOST_TAGS, MOST_PAGES = 4096, 100_000
WHOLE_BITS = frozenset({1, 8, 16, 32})


def by_pillow(path: Path, series: Any, samples: int) -> tuple[NDArray[Any], frozenset[str]]:
    """The numbers of a picture, (samples, h, w), and what Pillow has done to them.

    Raises:
        InputError: Pillow lacks the compression too, or would change the values.
    """
    page = series.keyframe
    palette = page.photometric == 3
    per_page = page.samplesperpixel
    mode = "P" if palette else MODES.get((np.dtype(series.dtype).name, per_page))
    pages = [page] if per_page == samples else list(series.pages)
    known = mode is not None and (palette or page.bitspersample in WHOLE_BITS)
    if not known or len(pages) * per_page != samples or 1 in map(int, page.extrasamples):
        raise _lacking(path, page)
    bands = []
    try:
        with open_image(path) as image:
            for one in pages:
                image.seek(one.index)
                if image.mode != mode:
                    raise _lacking(path, page)
                values = np.array(image)
                bands += [values] if values.ndim == 2 else list(np.moveaxis(values, 2, 0))
    except OSError as error:
        raise _lacking(path, page) from error
    seen = {"turned"} | ({"inverted"} if page.photometric == 0 and mode in {"1", "L"} else set())
    return np.stack(bands), frozenset(seen)


def as_colours(path: Path, page: Any) -> NDArray[np.uint8]:
    """Pictures in YCbCr or CMYK as RGB, (3, h, w)."""
    name = getattr(page.photometric, "name", page.photometric)
    with open_image(path) as image:
        if image.mode not in {"RGB", "YCbCr", "CMYK"} or page.bitspersample != 8:
            raise InputError(f"{path}: has {name} colours; save it as RGB")
        image.seek(page.index)
        return np.moveaxis(np.array(image.convert("RGB")), 2, 0)


def check_directories(path: Path) -> None:
    """Refuse damaged chains of directories, in which tifffile would look for pages for hours."""
    with path.open("rb") as file:
        start = file.read(16)
        order: Literal["little", "big"] = "little" if start[:2] == b"II" else "big"
        big = 43 in start[2:4]
        wide, entry, first = (8, 20, 8) if big else (4, 12, 4)
        at, seen = int.from_bytes(start[first : first + wide], order), set[int]()
        while at:
            file.seek(min(at, 2**62))
            counted = file.read(8 if big else 2)
            count = int.from_bytes(counted, order)
            if at in seen or not 0 < count <= MOST_TAGS or len(seen) > MOST_PAGES:
                raise InputError(f"{path}: its directory of pages is damaged; replace the file")
            seen.add(at)
            file.seek(count * entry, os.SEEK_CUR)
            at = int.from_bytes(file.read(wide), order)


def check_memory(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what this computer cannot hold."""
    need = int(np.prod(shape, dtype=object)) * dtype.itemsize
    have = memory_here()
    if have is not None and need > have:
        raise InputError(
            f"{path}: its values take {need / 2**30:.1f} GB, more than this computer's memory; "
            "cut it into tiles"
        )


def _lacking(path: Path, page: Any) -> InputError:
    name = getattr(page.compression, "name", page.compression)
    return InputError(
        f"{path}: compressed with {name}; `pip install imagecodecs`, or rewrite the file with "
        "deflate or without compression"
    )
