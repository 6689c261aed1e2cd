"""Whole pictures for evaluation: no crop, no change of size."""

from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import Dataset

from pixelwise.data.normalise import Normalise
from pixelwise.data.source import LabelledPictures


class EvaluationSet(Dataset[tuple[Float32[Tensor, "c h w"], Int64[Tensor, "h w"], str]]):
    """Item i: (image (c, h, w) normalised, mask (h, w), name), at the picture's full size.

    Args:
        pictures: What to evaluate on.
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.
    """

    def __init__(
        self,
        pictures: LabelledPictures,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
    ) -> None:
        self.pictures = pictures
        self.normalise = Normalise(mean, std, scale)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Float32[Tensor, "c h w"], Int64[Tensor, "h w"], str]:
        sample = self.pictures[index]
        return self.normalise(sample.image), sample.mask, sample.name
