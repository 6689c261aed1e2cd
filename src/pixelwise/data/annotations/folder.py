"""A data set whose masks are drawn in a label tool, painted when a picture is read."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import torch

from pixelwise.data.alike import kind_of, read_alike
from pixelwise.data.annotations.config import AnnotatedConfig
from pixelwise.data.annotations.painting import paint
from pixelwise.data.annotations.placing import Placed, place_drawings
from pixelwise.data.reading import read_header
from pixelwise.data.source import LabelledPictures, Progress, Sample, Source
from pixelwise.data.stamp import stamp
from pixelwise.data.survey import Survey, survey
from pixelwise.errors import unknown
from pixelwise.language import message


class AnnotatedPictures(LabelledPictures):
    """The pictures of one split.

    Args:
        config: What the shapes mean and how pictures are read.
        placed: Pictures and what is drawn in them.
        by_area: Small shapes lie on top.
        notes: Lines about what was left out.
        bands: Bands of every picture.
        scale: The raw value that means 1.0.
        name: For messages.
    """

    def __init__(
        self,
        config: AnnotatedConfig,
        placed: Placed,
        bands: int,
        scale: float,
        name: str,
        *,
        by_area: bool,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(config.classes, bands, scale, name)
        self.placed = placed
        self._config, self._by_area, self._notes = config, by_area, notes

    def __len__(self) -> int:
        return len(self.placed)

    def __getitem__(self, index: int) -> Sample:
        picture, drawing = self.placed[index]
        config = self._config
        read = read_alike(picture, config, self.bands, self.scale)
        height, width = read.values.shape[1:]
        mask = torch.from_numpy(
            paint(drawing, height, width, config.ids, config.background, by_area=self._by_area)
        )
        if read.missing is not None:
            mask[read.missing] = self.outside
        return Sample(read.values, mask, str(picture), read.missing, read.dtype)

    def origin(self, index: int) -> str | None:
        """The files of a sample, and how they are read."""
        picture, drawing = self.placed[index]
        config = self._config
        shapes = [(one.label, [r.content for r in one.regions]) for one in drawing.shapes]
        about = self.meaning, config.ids, config.background, self._by_area, self.outside
        read = config.bands, config.nodata, self.bands, self.scale
        return stamp((picture,), "annotations", shapes, *about, *read)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a picture, from its header."""
        header = read_header(self.placed[index][0], self._config.max_megapixels)
        return header.height, header.width

    def files(self) -> Mapping[str, tuple[int, ...]]:
        """Picture -> its size in bytes, and a check sum of what is drawn in it."""
        found = {}
        for picture, drawing in self.placed:
            total = 0
            for shape in drawing.shapes:
                total = zlib.crc32(shape.label.encode(errors="replace"), total)
                for region in shape.regions:
                    total = zlib.crc32(region.content, total)
            inside = picture.is_relative_to(self._config.path)
            name = picture.relative_to(self._config.path) if inside else picture
            found[str(name)] = (picture.stat().st_size, total)
        return found

    @property
    def meaning(self) -> str:
        """What labels mean, and which shapes lie on top."""
        config = self._config
        return f"{dict(config.ids)} {config.background} {self._by_area}"

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> Survey:
        """Read everything once, and tell what was left out too."""
        return dataclasses.replace(
            survey(self, progress, workers=workers), notes=tuple(self._notes)
        )


class AnnotatedSource(Source):
    """A data set of a label tool; its files, and its pictures' kind, are read at once."""

    def __init__(self, config: AnnotatedConfig) -> None:
        self.config = config
        self._placed, self._notes = place_drawings(config)
        first = next(iter(self._placed.values()))
        bands, scale = kind_of([picture for picture, _ in first], config)
        name = config.file.absolute().parent.name
        super().__init__(name, config.classes, bands, scale, config.bands, config.nodata)

    @property
    def contents(self) -> str:
        """How many classes, and which tool they come from."""
        tools = " and ".join(dict.fromkeys(drawn.tool for drawn in self.config.drawn.values()))
        return message("{contents}, drawn in {tools}", contents=super().contents, tools=tools)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that exist, of train, val and test."""
        return tuple(self._placed)

    def split(self, name: str) -> AnnotatedPictures:
        """The pictures of "train", "val" or "test"."""
        if name not in self._placed:
            raise unknown("split", name, self._placed)
        config = self.config
        drawn = config.drawn.get(name) or config.drawn["all"]
        by_area = drawn.by_area if config.by_area is None else config.by_area
        return AnnotatedPictures(
            config,
            self._placed[name],
            self.bands,
            self.scale,
            f"{name!r} of {config.file}",
            by_area=by_area,
            notes=self._notes if name == next(iter(self._placed)) else (),
        )
