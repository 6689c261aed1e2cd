"""Where frames come from: a clip, or pictures in a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Shaped
from torch import Tensor

from pixelwise.data.decoded import Decoded
from pixelwise.data.missing import filled
from pixelwise.data.reading import as_picture
from pixelwise.data.splitting import in_order
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.pictures import displayable
from pixelwise.pictures.types import Picture
from pixelwise.predict.images import expected, read_picture
from pixelwise.predict.videos.animation import Animation
from pixelwise.predict.videos.clip import Clip

WHITE = 255.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Args:
        number: In its clip, from 0.
        time: Seconds since the first.
        image: Raw values as a network takes them.
        missing: Pixels without data; None: all have some.
        shown: For people.
        source: The file that it is in.
    """

    number: int
    time: Fraction
    image: Shaped[Tensor, "c h w"]
    missing: Bool[Tensor, "h w"] | None
    shown: Picture
    source: Path


@runtime_checkable
class Frames(Protocol):
    """Frames in order."""

    name: str
    """For messages, such as a file's path."""
    rate: Fraction
    """Frames per second, on average."""
    tick: Fraction
    """Seconds that times are whole numbers of."""
    total: int
    """How many there seem to be; 0: nobody knows."""
    problems: list[str]
    """What could not be read so far, a line each."""

    @property
    def shape(self) -> Fraction:
        """Width over height of a pixel."""

    def __iter__(self) -> Iterator[Frame]: ...


class ClipFrames:
    """The frames of a clip.

    Args:
        clip: The clip.
        model: What they are for.
        every: Only each so many.
        as_is: Values need not be like those of the training pictures.

    Raises:
        InputError: 8-bit colour is not what the network was trained on.
    """

    def __init__(
        self, clip: Clip | Animation, model: Model, *, every: int = 1, as_is: bool = False
    ) -> None:
        self._clip, self._model, self._every = clip, model, every
        self.name, self.tick = clip.name, clip.tick
        self.rate, self.total = clip.rate / every, -(-clip.total // every)
        self.problems = clip.problems
        # A black frame is right in a clip, so it is not frames that are compared.
        self._factor = 1.0
        if not as_is:
            self._factor = expected(model).factor(0.0, WHITE, "uint8", self.name)

    @property
    def shape(self) -> Fraction:
        """Known for sure once the first frame was read: it may be turned."""
        return self._clip.shape

    def __iter__(self) -> Iterator[Frame]:
        config, path = self._model.config, Path(self.name)
        for number, time, shown in self._clip.read(self._every):
            values = Decoded(np.ascontiguousarray(shown.transpose(2, 0, 1)))
            found = as_picture(path, values, config.bands, config.in_channels, config.nodata)
            image = found.values if self._factor == 1 else found.values.float() * self._factor
            image = filled(image, found.missing, config.mean, config.scale)
            yield Frame(number, time, image, found.missing, shown, path)


class PictureFrames:
    """Picture files in a row; those that cannot be read are left out.

    Args:
        pictures: The files, in order.
        model: What they are for.
        rate: Frames per second.
        every: Only each so many.
        as_is: Values need not be like those of the training pictures.
        max_megapixels: Larger pictures are not read, unless they are TIFFs.
    """

    def __init__(
        self,
        pictures: Sequence[Path],
        model: Model,
        *,
        rate: float,
        every: int = 1,
        as_is: bool = False,
        max_megapixels: float = 179.0,
    ) -> None:
        self._pictures, self._model, self._every = pictures, model, every
        self._as_is, self._max_megapixels = as_is, max_megapixels
        self._tick = 1 / Fraction(rate).limit_denominator(1001)
        self.name, self.tick = str(pictures[0].parent), self._tick
        self.rate, self.total = 1 / self._tick / every, -(-len(pictures) // every)
        self.problems: list[str] = []

    @property
    def shape(self) -> Fraction:
        """Square pixels."""
        return Fraction(1)

    def __iter__(self) -> Iterator[Frame]:
        for number in range(0, len(self._pictures), self._every):
            file = self._pictures[number]
            try:
                image, missing = read_picture(
                    file,
                    self._model,
                    as_is=self._as_is,
                    max_megapixels=self._max_megapixels,
                )
            except InputError as error:
                self.problems.append(str(error))
                continue
            yield Frame(number, number * self._tick, image, missing, displayable(image), file)


def by_number(pictures: Sequence[Path]) -> list[Path]:
    """Files as people count: `frame2` before `frame10`."""
    return sorted(
        pictures, key=lambda path: (str(path.parent), in_order(path.name.casefold()), path.name)
    )
