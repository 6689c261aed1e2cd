"""What a file is, told from its first bytes and its header."""

import hashlib
import warnings
from pathlib import Path

from PIL import Image

from pixelwise.data import bitmaps
from pixelwise.data.reading import DAMAGE, NPY
from pixelwise.data.tiff import MAGIC
from pixelwise.doctor.facts import Container
from pixelwise.errors import InputError

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
STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the file with `git lfs pull`",
    b"<!DOCTYPE": "a web page, as a failed download leaves it; download it again",
    b"<html": "a web page, as a failed download leaves it; download it again",
    b"PK\x03\x04": "a ZIP archive; unpack it",
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
    for sign, told in STRANGERS.items():
        if start.lstrip().lower().startswith(sign.lower()):
            return Container("", size, digest, told=told)
    if start[:4] in MAGIC:
        return Container("TIFF", size, digest)
    if start.startswith(NPY):
        return Container("NPY", size, digest)
    return _bitmap(file, size, digest)


def _bitmap(file: Path, size: int, digest: str) -> Container:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=bitmaps.FORMATS) as image:
                kind = str(image.format)
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) if kind in bitmaps.CAMERA_FORMATS else 1
                return Container(
                    kind,
                    size,
                    digest,
                    image.mode,
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
