"""What label tools draw: polygons, runs of pixels and small bitmaps, each with a label."""

import base64
import io
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64
from PIL import Image

from pixelwise.data.annotations import raster
from pixelwise.errors import InputError
from pixelwise.image_files import open_image

FAR = 1e7
"""No picture has so many rows or columns."""
SMALL = 1e-6
"""Square pixels of a line, but for rounding."""
Part = tuple[slice, slice, Bool[np.ndarray, "rows columns"]]
"""Rows and columns of a part of the picture, and which of its pixels are covered."""


@dataclass(frozen=True, eq=False)
class Polygon:
    """An outline and holes in it.

    Args:
        outline: (x, y) of the corners; the centre of the first pixel is (0.5, 0.5).
        holes: Outlines of what does not belong to it.
        relative: Numbers are shares of the picture's width and height.
        edges: Pixels whose centres lie on the outline belong to it, and likewise to holes.
    """

    outline: Float64[np.ndarray, "n 2"]
    holes: tuple[Float64[np.ndarray, "m 2"], ...] = ()
    relative: bool = False
    edges: bool = False

    def covered(self, height: int, width: int) -> Part:
        """The pixels that it covers in a picture of this size."""
        scale = np.array([width, height], np.float64) if self.relative else 1.0
        rows, columns, inside = raster.fill(self.outline * scale, height, width, edges=self.edges)
        for hole in self.holes:
            across, along, gone = raster.fill(hole * scale, height, width, edges=self.edges)
            first = max(rows.start, across.start), max(columns.start, along.start)
            last = min(rows.stop, across.stop), min(columns.stop, along.stop)
            if first[0] < last[0] and first[1] < last[1]:
                here = _within(first, last, (rows.start, columns.start))
                inside[here] &= ~gone[_within(first, last, (across.start, along.start))]
        return rows, columns, inside

    @property
    def area(self) -> float:
        """In square pixels, or as a share of the picture."""
        return raster.area(self.outline) - sum(map(raster.area, self.holes))

    @property
    def content(self) -> bytes:
        """Bytes that change when it does."""
        return b"|".join(ring.tobytes() for ring in (self.outline, *self.holes))


@dataclass(frozen=True, eq=False)
class Runs:
    """Lengths of runs of pixels in and out of it by turns, the first out, in a whole picture.

    Args:
        size: Rows and columns of the picture.
        lengths: Their sum is the number of pixels.
        down: Runs go down the columns; else along the rows.
    """

    size: tuple[int, int]
    lengths: Int64[np.ndarray, " n"]
    down: bool = True

    def covered(self, height: int, width: int) -> Part:
        """The pixels that it covers in the picture, which must be of its size."""
        inside = np.repeat(np.arange(len(self.lengths)) % 2 == 1, self.lengths)
        shaped = inside.reshape(width, height).T if self.down else inside.reshape(height, width)
        return slice(0, height), slice(0, width), shaped

    @property
    def area(self) -> float:
        """In pixels."""
        return float(self.lengths[1::2].sum())

    @property
    def content(self) -> bytes:
        """Bytes that change when it does."""
        return self.lengths.tobytes()


@dataclass(frozen=True, eq=False)
class Patch:
    """A small bitmap somewhere in the picture.

    Args:
        left: Column of its first pixel; may lie outside.
        top: Row of its first pixel.
        png: The file; pixels that are neither 0 nor transparent are covered.
        where: For messages.
    """

    left: int
    top: int
    png: bytes
    where: str

    @classmethod
    def of(cls, left: float, top: float, text: object, where: str) -> "Patch":
        """From base64 of a PNG, perhaps packed by zlib.

        Raises:
            InputError: Something else.
        """
        try:
            packed = base64.b64decode(str(text), validate=True)
            png = packed if packed.startswith(b"\x89PNG") else zlib.decompress(packed)
        except (ValueError, zlib.error):
            raise InputError(f"{where}: its bitmap is damaged; export it again") from None
        return cls(int(left), int(top), png, where)

    def pixels(self) -> Bool[np.ndarray, "rows columns"]:
        """Its pixels that are covered.

        Raises:
            InputError: It is damaged.
        """
        try:
            with open_image(io.BytesIO(self.png), formats=("PNG",)) as image:
                clear = "transparency" in image.info or image.mode in {"LA", "RGBA", "PA"}
                bitmap = image.convert("RGBA").getchannel("A") if clear else image
                return np.array(bitmap if clear else bitmap.convert("L")) > 0
        except (OSError, ValueError, SyntaxError, zlib.error, Image.DecompressionBombError):
            raise InputError(f"{self.where}: its bitmap is damaged; export it again") from None

    def covered(self, height: int, width: int) -> Part:
        """The pixels that it covers in a picture of this size; others are cut off."""
        pixels = self.pixels()
        top, left = max(0, self.top), max(0, self.left)
        bottom = max(top, min(height, self.top + pixels.shape[0]))
        right = max(left, min(width, self.left + pixels.shape[1]))
        inside = pixels[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return slice(top, bottom), slice(left, right), inside

    @property
    def area(self) -> float:
        """In pixels."""
        return float(self.pixels().sum())

    @property
    def content(self) -> bytes:
        """Bytes that change when it does."""
        return self.png + f"{self.left} {self.top}".encode()


Region = Polygon | Runs | Patch


@dataclass(frozen=True)
class Shape:
    """A thing in a picture: regions that together are one."""

    label: str
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Drawing:
    """What is drawn in a picture.

    Args:
        names: What the picture's file may be called, the likeliest first; without a suffix where
            the tool does not tell it.
        shapes: In the order of the file.
        size: Rows and columns of the picture as the tool states them; None: it does not.
        where: For messages.
    """

    names: tuple[Path, ...]
    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None
    where: str


@dataclass
class Drawn:
    """All that a tool's files hold.

    Args:
        place: The file or folder.
        tool: Its name, for messages.
        labels: In the order that the tool gives them, or that of the alphabet.
        drawings: One per picture.
        by_area: Small shapes lie on top of large ones; else later ones on top of earlier ones.
        numbered: Labels are numbers of classes, counted from 0.
        bare: A picture without a drawing has nothing in it; else nothing is known about it.
        left_out: Why shapes were left out -> how many, and where the first one was.
    """

    place: Path
    tool: str
    labels: tuple[str, ...] = ()
    drawings: list[Drawing] = field(default_factory=list)
    by_area: bool = False
    numbered: bool = False
    bare: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def leave_out(self, why: str, where: str) -> None:
        """Count a shape that is not painted."""
        self.left_out[why] += 1
        self.first.setdefault(why, where)

    def polygon(
        self,
        outline: object,
        where: str,
        *,
        holes: object = (),
        relative: bool = False,
        edges: bool = False,
    ) -> tuple[Region, ...]:
        """A polygon; nothing where it has no area, which is counted.

        Raises:
            InputError: Something that is not pairs of numbers.
        """
        found = ring(outline, where)
        if len(found) < 3 or (raster.area(found) < SMALL and _flat(found)):
            self.leave_out("without area", where)
            return ()
        rings = [ring(hole, where) for hole in holes] if isinstance(holes, list | tuple) else []
        return (Polygon(found, tuple(r for r in rings if len(r) > 2), relative, edges),)


def _within(
    first: tuple[int, int], last: tuple[int, int], origin: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns from `first` to `last`, counted from an origin."""
    return (
        slice(first[0] - origin[0], last[0] - origin[0]),
        slice(first[1] - origin[1], last[1] - origin[1]),
    )


def ring(value: object, where: str) -> Float64[np.ndarray, "n 2"]:
    """Pairs of numbers, or numbers that are x and y by turns.

    Raises:
        InputError: Something else, or a number that is no place in a picture.
    """
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.full(1, np.nan)
    if found.ndim == 1 and len(found) % 2 == 0:
        found = found.reshape(-1, 2)
    if found.ndim != 2 or found.shape[1] != 2 or not (np.abs(found) < FAR).all():
        raise InputError(f"{where}: must have pairs of numbers in the picture; correct its points")
    return found


def _flat(corners: Float64[np.ndarray, "n 2"]) -> bool:
    """Whether all corners lie on a line. A figure of eight has no area either, but has pixels."""
    return bool(np.linalg.matrix_rank(corners - corners[:1]) < 2)
