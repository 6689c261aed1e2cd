"""Animated WebP and PNG files, which FFmpeg does not read or takes for pictures."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import ImageSequence

from pixelwise.data.reading import DAMAGE
from pixelwise.image_files import open_image
from pixelwise.pictures.types import Picture
from pixelwise.predict.videos.clip import USUAL_RATE, UnreadableError

START = 2**16
"""Bytes of a file that say whether it is animated."""


def is_animation(path: Path) -> bool:
    """Whether a picture file has several frames."""
    if path.suffix.lower() not in (".webp", ".png"):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError:
        return False
    if start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X":
        return bool(start[20] & 2)
    return start[:4] == b"\x89PNG" and b"acTL" in start.partition(b"IDAT")[0]


class Animation:
    """Such a file, as a `Clip`.

    Args:
        path: The file.
    """

    tick, rate, shape = Fraction(1, 1000), USUAL_RATE, Fraction(1)

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        self.problems: list[str] = []
        self.remarks: list[str] = []
        with open_image(path) as file:
            self.total = int(getattr(file, "n_frames", 1))

    def read(self, every: int = 1) -> Iterator[tuple[int, Fraction, Picture]]:
        """See `Clip.read`."""
        time, number = Fraction(0), 0
        try:
            with open_image(self.path) as file:
                for frame in ImageSequence.Iterator(file):
                    shown = np.array(frame.convert("RGB"))  # decoding tells how long it is
                    lasts = Fraction(frame.info.get("duration") or 0).limit_denominator(1000) / 1000
                    if number % every == 0:
                        yield number, time, shown
                    time, number = time + (lasts or 1 / self.rate), number + 1
        except DAMAGE as error:
            if not number:
                raise UnreadableError(
                    f"{self.path}: holds no frame that can be read; check the file"
                ) from error
        if number < self.total:
            self.problems.append(
                f"{self.path}: is damaged or cut off, {number} of {self.total} frames could be read"
            )
