"""Writing a clip that every player shows."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.pictures.types import Picture
from pixelwise.predict.videos.library import FORMATS, library
from pixelwise.release import VERSION

SOFTWARE = "pixelwise"
"""What the comment in our clips begins with; it shows which may be replaced."""
QUALITY = {
    "libx264": {"crf": "18", "preset": "veryfast", "bf": "0"},
    "mpeg4": {"qmin": "2", "qmax": "5"},
    "libvpx-vp9": {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
}
FINEST = {"mpeg4": 65535}
"""Ticks per second at most."""
BT709 = 1


class Encoder:
    """A clip that is being written.

    Args:
        path: The file; its suffix is one of `FORMATS`.
        size: (height, width) of the frames; odd ones grow by a row or column.
        rate: Frames per second, on average.
        tick: Seconds that times are whole numbers of.
        shape: Width over height of a pixel.

    Raises:
        InputError: No encoder, or it refuses the size; the file cannot be written.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], rate: Fraction, tick: Fraction, shape: Fraction
    ) -> None:
        self._av = library(path)
        self.path, self._size, self._last = path, size, -1
        self.codec, self.usual, self.done = "", True, False
        form, codecs = FORMATS[path.suffix.lower()]
        told: list[str] = []
        for codec in codecs:
            try:
                self._begin(form, codec, rate, tick, shape)
            except (self._av.error.FFmpegError, ValueError) as error:
                told.append(f"{codec}: {getattr(error, 'strerror', None) or 'is not there'}")
                continue
            self.codec = codec
            self.usual = codec == codecs[0]
            return
        height, width = size
        raise InputError(
            f"{path}: no encoder takes frames of {width} x {height} pixels ({', '.join(told)});"
            " install another FFmpeg, or write .mkv or .webm"
        )

    def _begin(
        self, form: str, codec: str, rate: Fraction, tick: Fraction, shape: Fraction
    ) -> None:
        self._av.codec.Codec(codec, "w")
        options = {"movflags": "+faststart"} if form in ("mp4", "mov") else {}
        container = self._av.open(str(self.path.absolute()), "w", format=form, options=options)
        try:
            stream = container.add_stream(
                codec, rate=rate.limit_denominator(1001), options=QUALITY.get(codec, {})
            )
            context = stream.codec_context
            stream.height, stream.width = (side + side % 2 for side in self._size)
            stream.pix_fmt = "yuv420p"
            self._tick = max(tick, Fraction(1, FINEST.get(codec, 2**31 - 1)))
            if codec in FINEST and self._tick.denominator > FINEST[codec]:
                self._tick = Fraction(1, FINEST[codec])
            context.time_base = self._tick
            context.sample_aspect_ratio = shape
            for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
                with suppress(AttributeError):
                    setattr(context, name, BT709)
            context.thread_type = "AUTO"
            container.metadata["comment"] = f"{SOFTWARE} {VERSION}"
            context.open()
        except BaseException:
            with suppress(self._av.error.FFmpegError, OSError, ValueError):
                container.close()
            self.path.unlink(missing_ok=True)
            raise
        self._container, self._stream = container, stream

    def write(self, picture: Picture, time: Fraction) -> None:
        """A frame, at so many seconds; one of another size is fitted in, with black bars.

        Raises:
            InputError: The file cannot be written.
        """
        fitted = _even(_fitted(picture, self._size))
        frame = self._av.VideoFrame.from_ndarray(fitted, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        self._last = max(round(time / self._tick), self._last + 1)
        frame.pts, frame.time_base = self._last, self._tick
        self._mux(frame)

    def finish(self) -> None:
        """The last frame was written.

        Raises:
            InputError: The file cannot be written.
        """
        self._mux(None)
        try:
            self._container.close()
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def drop(self) -> None:
        """Something went wrong: leave no file."""
        with suppress(self._av.error.FFmpegError, OSError, ValueError):
            self._container.close()
        self.path.unlink(missing_ok=True)

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> InputError:
        told = getattr(error, "strerror", None) or str(error)
        return InputError(f"{self.path}: cannot be written ({told}); make room, or choose --out")


def is_ours(path: Path) -> bool:
    """Whether a clip was written here."""
    av = library(path)
    try:
        with av.open(str(path.absolute()), metadata_errors="ignore") as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, OSError):
        return False
    return found.get("comment", "").startswith(SOFTWARE)


def _fitted(picture: Picture, size: tuple[int, int]) -> ndarray:
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    scale = min(size[0] / height, size[1] / width)
    inside = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = Image.new("RGB", (size[1], size[0]))
    small = Image.fromarray(picture).resize(inside)
    canvas.paste(small, ((size[1] - inside[0]) // 2, (size[0] - inside[1]) // 2))
    return np.asarray(canvas)


def _even(picture: ndarray) -> ndarray:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)
