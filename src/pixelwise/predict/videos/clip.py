"""Reading a clip frame by frame, as people see it."""

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from pixelwise.errors import InputError
from pixelwise.pictures.types import Picture
from pixelwise.predict.videos.library import library

HDR = {16: "PQ", 18: "HLG"}
"""Transfer curves whose colours look pale where they are taken for the usual ones."""
USUAL_RATE = Fraction(25)
RESET = Fraction(1)
"""A clock that goes back by more seconds has begun anew: two clips in one."""
Turn = Callable[[ndarray], ndarray]
COVER = "attached_pic"


class UnreadableError(InputError):
    """A file that is no clip, or a broken one."""


class Clip:
    """A clip on the disk.

    Args:
        path: The file.

    Raises:
        InputError: PyAV is not installed.
        UnreadableError: The file cannot be read or has no picture in it.
    """

    def __init__(self, path: Path) -> None:
        self._av = library(path)
        self.path, self.name = path, str(path)
        self.problems: list[str] = []
        """What could not be read."""
        self.remarks: list[str] = []
        """What people should know of it."""
        with self._opened() as container:
            stream = _stream(container, path)
            self.tick = Fraction(stream.time_base or 1 / USUAL_RATE)
            rates = (stream.average_rate, stream.guessed_rate, USUAL_RATE)
            self.rate = next(Fraction(rate) for rate in rates if rate)
            self.shape = Fraction(stream.sample_aspect_ratio or 1)
            seconds = _seconds(container, stream)
            self.total = stream.frames or round(seconds * self.rate)
            self._stated, self._seconds = stream.frames, seconds
            curve = HDR.get(int(getattr(stream.codec_context, "color_trc", 0) or 0))
        if curve is not None:
            self.remarks.append(
                f"{path}: is HDR ({curve}), whose colours are paler than those of pictures; convert"
                " it to SDR for better answers"
            )

    def read(self, every: int = 1) -> Iterator[tuple[int, Fraction, Picture]]:
        """Number, seconds since the first frame, and picture of each `every`-th frame.

        What is damaged is left out and told in `problems`.

        Raises:
            UnreadableError: There is no frame at all.
        """
        found = bad = 0
        clock = _Clock(self.rate, self.tick)
        turn: Turn = np.ascontiguousarray
        with self._opened() as container:
            stream = _stream(container, self.path)
            stream.thread_type = "AUTO"
            for frame in self._decoded(container, stream):
                if frame is None:
                    bad += 1
                    continue
                if found == 0:
                    turn, swapped = _turning(frame)
                    self.shape = 1 / self.shape if swapped else self.shape
                number, found = found, found + 1
                stated = None if frame.pts is None else frame.pts * Fraction(frame.time_base)
                time = clock.next(number, stated)
                if number % every == 0:
                    yield number, time, turn(frame.to_ndarray(format="rgb24"))
        if not found:
            raise UnreadableError(f"{self.path}: holds no frame that can be read; check the file")
        if bad or found < self._stated:
            of = f" of {self._stated}" if self._stated > found else ""
            self.problems.append(
                f"{self.path}: is damaged or cut off, {found}{of} frames could be read"
            )
        elif (end := clock.last + 1 / self.rate) < min(
            self._seconds - 1, Fraction(9, 10) * self._seconds
        ):
            self.remarks.append(
                f"{self.path}: has pictures for {float(end):.1f} of {float(self._seconds):.1f}"
                " seconds; it may be cut off"
            )

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """The frames; None for each packet that is damaged."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.error.FFmpegError:  # what comes after is lost
                yield None
                packet = None
            try:
                yield from stream.decode(packet)
            except self._av.error.EOFError:
                return
            except self._av.error.FFmpegError:
                yield None
            if packet is None:
                return

    def _opened(self) -> Any:
        try:
            # Absolute, lest a name such as "a:b.mp4" be taken for a protocol.
            return self._av.open(str(self.path.absolute()), metadata_errors="ignore")
        except (self._av.error.FFmpegError, OSError) as error:
            raise UnreadableError(
                f"{self.path}: cannot be read as a clip ({error.strerror or error}); check the file"
            ) from error


class _Clock:
    """Seconds since the first frame: each later than the last, even where a clock begins anew."""

    def __init__(self, rate: Fraction, tick: Fraction) -> None:
        self._rate, self._tick = rate, tick
        self._begin: Fraction | None = None
        self.last = -tick

    def next(self, number: int, stated: Fraction | None) -> Fraction:
        """The time of the frame of that number, whose file says `stated`, or nothing."""
        usual = self.last + 1 / self._rate if number else Fraction(0)
        time = usual
        if stated is not None:
            if self._begin is None or stated - self._begin + RESET < self.last:
                self._begin = stated - usual
            time = stated - self._begin
        self.last = max(time, self.last + self._tick)
        return self.last


def _stream(container: Any, path: Path) -> Any:
    for stream in container.streams.video:
        if stream.codec_context is not None and not _is_cover(stream):
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams}))
    raise UnreadableError(f"{path}: has no moving picture{kinds and ', only '}{kinds}; give a clip")


def _is_cover(stream: Any) -> bool:
    """Whether it is the picture on a song."""
    found = getattr(stream, "disposition", 0)
    flag = getattr(type(found), COVER, None)
    return flag is not None and bool(found & flag)


def _seconds(container: Any, stream: Any) -> Fraction:
    if stream.duration and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration or 0, 1_000_000)


def _turning(frame: Any) -> tuple[Turn, bool]:
    """What turns the frames of a phone upright, and whether rows and columns change places."""
    matrix = (1, 0, 0, 1)
    for data in frame.side_data:
        if "DISPLAYMATRIX" in str(data.type):
            a, b, _, c, d, *_ = struct.unpack("<9i", bytes(data)[:36])
            matrix = (a, b, c, d)
    a, b, c, d = matrix
    swapped = abs(b) > abs(a)
    down, right = (b, c) if swapped else (d, a)
    rows, columns = (
        slice(None, None, -1 if down < 0 else 1),
        slice(None, None, -1 if right < 0 else 1),
    )

    def turned(picture: ndarray) -> ndarray:
        upright = picture.transpose(1, 0, 2) if swapped else picture
        return np.ascontiguousarray(upright[rows, columns])

    return turned, swapped
