"""What a file is, told from its first bytes and its header."""

import hashlib
import logging
import struct
import warnings
import zlib
from pathlib import Path

from PIL import Image

from pixelwise.data import bitmaps
from pixelwise.data.reading import DAMAGE, NPY
from pixelwise.data.tiff import MAGIC
from pixelwise.doctor.facts import Container
from pixelwise.errors import InputError
from pixelwise.image_files import open_image

PNG = b"\x89PNG\r\n\x1a\n"
PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT"})
"""Parts of a PNG that its pixels come from."""
CMYK = 5
"""TIFF's number for it."""
SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "NPY": (".npy",),
}
WEB = "a web page, as a failed download leaves it; download it again"
STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the file with `git lfs pull`",
    b"<!DOCTYPE": WEB,
    b"<html": WEB,
    b"<?xml": "XML text, as a failed download leaves it; download it again",
    b"{": "JSON text, as a failed download leaves it; download it again",
    b"404": WEB,
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"%PDF": "a PDF; export it as PNG",
    b"<svg": "an SVG drawing; export it as PNG",
}


def look(file: Path) -> Container:
    """Read the whole file once for its check sum, and its header.

    Raises:
        OSError: It is not there, or may not be read.
    """
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "blake2b").hexdigest()[:32]
    size = file.stat().st_size
    with file.open("rb") as content:
        start = content.read(512)
    if not size:
        return Container("", 0, digest, told="empty; replace it")
    if not start.strip(b"\0") and size >= len(start):
        return Container("", size, digest, told="full of zeros; copy it again")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for sign, told in STRANGERS.items():
        if text.startswith(sign.lower()):
            return Container("", size, digest, told=told)
    if start[4:8] == b"ftyp":
        kind = "AVIF" if b"avif" in start[8:40] else "HEIC"
        return Container("", size, digest, told=f"{kind}; convert it to PNG")
    if start[:4] in MAGIC:
        return _tiff(file, size, digest)
    if start.startswith(PNG) and not _is_whole(file):
        return Container("PNG", size, digest, told="damaged: its check sums are wrong; replace it")
    if start.startswith(NPY):
        return Container("NPY", size, digest)
    return _bitmap(file, size, digest)


def _is_whole(file: Path) -> bool:
    """Whether the check sums of the parts of a PNG that make its pixels are right.

    A part that is cut off is told by whoever decodes it.
    """
    content = file.read_bytes()
    at = len(PNG)
    while at + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        end = at + 8 + length
        if end + 4 > len(content):
            return True
        if kind in PIXELS and zlib.crc32(content[at + 4 : end]) != int.from_bytes(
            content[end : end + 4], "big"
        ):
            return False
        at = end + 4
    return True


def _tiff(file: Path, size: int, digest: str) -> Container:
    import tifffile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    try:
        with tifffile.TiffFile(file) as content:
            series = content.series[0]
            page = series.keyframe
            grey = page.samplesperpixel - len(page.extrasamples) < 3
            clear = bool({1, 2} & {int(extra) for extra in page.extrasamples})
            mode = "CMYK" if page.photometric == CMYK else ("L" if grey else "RGB") + "A" * clear
            turned = page.tags.get(274)
            return Container(
                "TIFF",
                size,
                digest,
                mode,
                len(series) if page.samplesperpixel < 3 else 1,
                turned.value if turned is not None and turned.value in range(1, 9) else 1,
                (page.imagelength, page.imagewidth),
            )
    except (*DAMAGE, tifffile.TiffFileError):
        return Container("TIFF", size, digest)


def _bitmap(file: Path, size: int, digest: str) -> Container:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(file, formats=bitmaps.FORMATS) as image:
                kind = str(image.format)
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) if kind in bitmaps.CAMERA_FORMATS else 1
                clear = "transparency" in image.info and not image.mode.endswith("A")
                return Container(
                    kind,
                    size,
                    digest,
                    f"{image.mode}A" if clear else image.mode,
                    1 if kind in bitmaps.STILL else getattr(image, "n_frames", 1),
                    turned if turned in range(1, 9) else 1,
                    (height, width),
                    lossy=kind in bitmaps.STILL or (kind == "WEBP" and b"VP8L" not in _head(file)),
                )
    except (*DAMAGE, Image.DecompressionBombError):
        return Container("", size, digest)


def _head(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(64)


def suits(container: Container, name: str) -> bool:
    """Whether a file's suffix is that of its format."""
    known = SUFFIXES.get(container.format)
    return known is None or Path(name).suffix.lower() in known


def open_container(file: Path) -> tuple[Container, str]:
    """What `look` finds, and why it cannot look; empty: it can."""
    try:
        return look(file), ""
    except OSError as error:
        return Container("", 0, ""), f"cannot be read ({error.strerror})"


def without_name(file: Path, error: InputError) -> str:
    """A message without the file's name, which is told beside it."""
    return " ".join(str(error).replace(f"{file}: ", "").replace(str(file), file.name).split())
