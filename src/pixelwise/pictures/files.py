"""Files that appear whole or not at all."""

import io
import os
from pathlib import Path

from PIL import Image

from pixelwise.errors import InputError
from pixelwise.pictures.types import Picture


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: a reader never meets half of it.

    Raises:
        InputError: the file or its folder cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); choose another folder") from error


def png(picture: Picture) -> bytes:
    """A picture as PNG bytes."""
    return encoded(Image.fromarray(picture))


def encoded(image: Image.Image) -> bytes:
    """An image of any mode as PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
