"""Whole pictures for evaluation: no crop, no change of size."""

from jaxtyping import Float32, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.fitting import Expected
from pixelwise.data.missing import filled
from pixelwise.data.normalise import Normalise
from pixelwise.data.source import LabelledPictures, Pictured

Item = tuple[Float32[Tensor, "c h w"], Shaped[Tensor, "*labels h w"], str, int]


class Preparation:
    """From a sample to what a network takes of it.

    Args:
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.
        expected: What the values must be like; None: anything.
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        expected: Expected | None = None,
    ) -> None:
        self.mean, self.scale, self.expected = mean, scale, expected
        self.normalise = Normalise(mean, std, scale)

    def __call__(self, sample: Pictured) -> tuple[Float32[Tensor, "c h w"], int]:
        """The image, normalised, and how many of its pixels have no data."""
        image = sample.image
        if self.expected is not None:
            image = self.expected.fit(sample.picture, sample.name)
        image = filled(image, sample.missing, self.mean, self.scale)
        return self.normalise(image), 0 if sample.missing is None else int(sample.missing.sum())


class EvaluationSet(Dataset[Item]):
    """Item i: (image (c, h, w) normalised, mask (..., h, w), name, pixels without data), whole.

    Args:
        pictures: What to evaluate on.
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.
        expected: What the values must be like; None: anything.
    """

    def __init__(
        self,
        pictures: LabelledPictures,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        expected: Expected | None = None,
    ) -> None:
        self.pictures = pictures
        self.prepare = Preparation(mean, std, scale, expected)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Item:
        sample = self.pictures[index]
        image, missing = self.prepare(sample)
        return image, sample.mask, sample.name, missing
