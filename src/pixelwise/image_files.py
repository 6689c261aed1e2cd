"""Pillow's way to open a file, also where another library put its own in its place."""

from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile


def open_image(file: str | Path | BytesIO, formats: tuple[str, ...] | None = None) -> ImageFile:
    """As `PIL.Image.open`.

    Ultralytics replaces that function by one which asks for a further package where a file is
    damaged.

    Raises:
        UnidentifiedImageError: The file holds no picture that Pillow knows.
    """
    try:
        return Image.open(file, formats=formats)
    except ImportError as error:
        raise UnidentifiedImageError(f"cannot identify image file {file!r}") from error
