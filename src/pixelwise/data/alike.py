"""Pictures of one data set are of one kind: as many bands, and the same value for white."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from pixelwise.data.decoded import WHITES
from pixelwise.data.reading import Picture, read_header, read_picture
from pixelwise.errors import InputError

PROBED = 16  # pictures whose headers tell of what kind the others are


@runtime_checkable
class Described(Protocol):
    """What a data.yaml says of pictures."""

    @property
    def file(self) -> Path:
        """The data.yaml."""

    @property
    def bands(self) -> tuple[int, ...] | None:
        """Which bands are read; None: all."""

    @property
    def scale(self) -> float | None:
        """The raw value of white; None: by the type."""

    @property
    def nodata(self) -> tuple[float, ...]:
        """Values that mean "no data", beside what files say."""

    @property
    def max_megapixels(self) -> float:
        """Larger pictures are refused."""


def kind_of(pictures: Sequence[Path], config: Described) -> tuple[int, float]:
    """How many bands the pictures have, and their raw value of white."""
    headers = [
        read_header(picture, config.max_megapixels)
        for picture in pictures[:: max(1, len(pictures) // PROBED)]
    ]
    most = max(headers, key=lambda header: header.bands)
    return (
        most.bands if config.bands is None else len(config.bands),
        most.scale if config.scale is None else config.scale,
    )


def read_alike(file: Path, config: Described, bands: int, scale: float) -> Picture:
    """A picture of that kind.

    Raises:
        InputError: It is damaged, or of another kind.
    """
    read = read_picture(
        file, config.bands, bands, nodata=config.nodata, max_megapixels=config.max_megapixels
    )
    if config.scale is None and WHITES.get(read.dtype, 1.0) != scale:
        raise InputError(
            f"{file}: holds {read.dtype}, but other pictures of {config.file} do not; convert it,"
            " or state `scale:` (white)"
        )
    return read
