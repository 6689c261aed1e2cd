"""Pictures from the page, decoded with care: what a file claims is checked before it is read.

`read_picture` decodes bitmaps by Pillow, which stops where a picture ends. A TIFF's strips may
unpack to far more than the picture holds, and a TIFF may name other files; both are looked at here.
"""

import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixelwise.data import tiff
from pixelwise.data.reading import DAMAGE, read_header
from pixelwise.errors import InputError

MEGAPIXELS = 4.2
"""A picture goes through the network whole."""
LONGEST = 8192
"""Rows or columns that every browser can draw."""
MOST_BANDS = 64
MOST_PAGES = 32
PLAIN_FLAGS = frozenset({"geotiff", "gdal", "shaped", "uniform", "multipage", "virtual", "dng"})
"""Kinds of TIFF that lead to no other file."""
NONE, LZW, DEFLATE, PACKBITS, LZMA = 1, 5, frozenset({8, 32946}), 32773, 34925


def check_claims(file: Path, name: str, megapixels: float, *, sent: bool) -> None:
    """Refuse a picture by what its head says, before anything is decoded.

    Args:
        file: The picture.
        name: What messages call it.
        megapixels: Pixels at most, in millions.
        sent: Whether it came from a browser, so that nobody vouches for it.

    Raises:
        InputError: It is no picture, too large, or of a kind that is not taken from browsers.
    """
    with file.open("rb") as start:
        is_tiff = start.read(4) in tiff.MAGIC
    if is_tiff and sent:
        _check_tiff(file, name, megapixels)
    header = read_header(file, math.inf)
    pixels = header.height * header.width
    if pixels > megapixels * 1e6 or max(header.height, header.width) > LONGEST:
        raise InputError(
            f"{name}: has {header.height} rows and {header.width} columns; a picture goes through"
            f" the network whole and may have {megapixels:g} million pixels and sides of {LONGEST}"
            ": cut out a part, shrink it, or start with --max-megapixels"
        )
    if header.bands > MOST_BANDS:
        raise InputError(
            f"{name}: has {header.bands} bands; at most {MOST_BANDS} are read here, save those"
            " that the network takes"
        )


def _check_tiff(file: Path, name: str, megapixels: float) -> None:
    import tifffile

    try:
        tiff.orientation(file)  # also follows the chain of directories, which may be damaged
        with tifffile.TiffFile(file) as opened:
            other = sorted(set(opened.flags) - PLAIN_FLAGS)
            if other:
                raise InputError(
                    f"{name}: is a TIFF of the kind {other[0]}, which may lead to other files; save"
                    " it as a plain TIFF or as PNG"
                )
            if len(opened.pages) > MOST_PAGES:
                raise InputError(
                    f"{name}: has {len(opened.pages)} pages; save the one that is meant"
                )
            limit = round(megapixels * 1e6 * MOST_BANDS * 8)
            for page in opened.pages:
                _check_page(opened.filehandle, page, name, limit)
    except InputError as error:
        raise InputError(str(error).replace(str(file), name)) from None
    except DAMAGE as error:
        raise InputError(
            f"{name}: cannot be read ({' '.join(str(error).split())[:200]}); replace the damaged"
            " file or convert it to PNG"
        ) from None


def _check_page(handle: Any, page: Any, name: str, limit: int) -> None:
    code = int(page.compression)
    if page.nbytes > limit:
        raise InputError(f"{name}: claims {page.nbytes} bytes of values; save a part of it")
    if code in (NONE, LZW, 6, 7):  # as long as they are, or unpacked by Pillow up to their strip
        return
    unpacked: Callable[[bytes, int], int]
    if code in DEFLATE:
        unpacked = _deflated
    elif code == LZMA:
        unpacked = _lzma
    elif code == PACKBITS:
        unpacked = _packbits
    else:
        raise InputError(
            f"{name}: is compressed in a way that is not read here ({code}); save it with deflate"
            " or as PNG"
        )
    most = max(page.nbytes, 1)
    if len(page.dataoffsets) > 100_000:
        raise InputError(f"{name}: has {len(page.dataoffsets)} strips; save it as PNG")
    total = 0
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        handle.seek(min(offset, handle.size))
        total += unpacked(handle.read(max(0, min(count, handle.size - offset))), 2 * most + 65536)
        if total > 2 * most + 65536 * len(page.dataoffsets):
            raise InputError(
                f"{name}: unpacks to far more than its {page.imagelength} rows and"
                f" {page.imagewidth} columns; replace the damaged file"
            )


def _deflated(data: bytes, most: int) -> int:
    return len(zlib.decompressobj().decompress(data, most + 1))


def _lzma(data: bytes, most: int) -> int:
    return len(lzma.LZMADecompressor(memlimit=2**28).decompress(data, most + 1))


def _packbits(data: bytes, most: int) -> int:
    place = total = 0
    while place < len(data) and total <= most:
        count = data[place]
        place += count + 2 if count < 128 else 2 if count > 128 else 1
        total += count + 1 if count < 128 else 257 - count if count > 128 else 0
    return total
