"""Pictures in one folder, numbers for their pixels in another: depths, heights, densities."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from pixelwise.data.folder import FolderPictures, FolderSource
from pixelwise.data.quantities import Quantity, measured
from pixelwise.data.reading import read_mask_nodata, read_numbers
from pixelwise.data.source import LabelledPictures, Progress
from pixelwise.data.values_survey import ValuesSurvey, survey_values
from pixelwise.errors import InputError
from pixelwise.language import message


class FolderValues(FolderPictures):
    """One split with values: `Sample.mask` is (k, h, w) float32, NaN where nothing is known."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the bands of the masks are."""
        return self.config.quantities

    @property
    def outside(self) -> float:
        """NaN."""
        return float("nan")

    @property
    def meaning(self) -> str:
        """Scale and offset of each band, and the raw values that mean "unknown"."""
        bands = [f"{q.name} {q.scale:g} {q.offset:g} {q.unit}" for q in self.quantities]
        return f"{', '.join(bands)}, unknown {self.config.values_nodata}"

    def check(self, progress: Progress | None = None, *, workers: int = 0) -> ValuesSurvey:
        """Read everything once and tell what is there.

        Raises:
            InputError: What reading a picture raises, values that are rather "unknown", or a band
                of which nothing is known anywhere.
        """
        return survey_values(self, self.quantities, progress, workers)

    def _target(self, mask: Path) -> Tensor:
        raw = read_numbers(mask, max_megapixels=self.config.max_megapixels)
        if len(raw) != len(self.quantities):
            names = ", ".join(quantity.name for quantity in self.quantities)
            raise InputError(
                f"{mask}: has {len(raw)} bands, but values has {len(self.quantities)} ({names});"
                f" name every band in `values:` of {self.config.file}, or save a file with as many"
            )
        told = read_mask_nodata(mask)
        nodata = self.config.values_nodata + (() if told is None else (told,))
        return torch.from_numpy(measured(raw, self.quantities, nodata))


class FolderValuesSource(FolderSource):
    """A data set on disk whose masks hold numbers."""

    kind: ClassVar[str] = "values"

    @property
    def contents(self) -> str:
        """Names and units of the bands."""
        told = [f"{q.name} in {q.unit}" if q.unit else q.name for q in self.config.quantities]
        return message("values of {told}", told=", ".join(told))

    @property
    def units(self) -> Mapping[str, str]:
        """Band -> its unit, empty where there is none."""
        return {quantity.name: quantity.unit for quantity in self.config.quantities}

    def split(self, name: str) -> LabelledPictures:
        """The pictures of "train", "val" or "test"."""
        return FolderValues(self.config, name, self.bands, self.scale)
