"""From raw values to a network's input: (raw / scale - mean) / std, per band."""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Num
from torch import Tensor

from pixelwise.data.each import one_thread
from pixelwise.data.source import Split
from pixelwise.errors import InputError

CONSTANT = 1e-6


class Normalise:
    """image -> (image / scale - mean) / std.

    Args:
        mean: Per band, in units of raw value / scale.
        std: Likewise.
        scale: The raw value that means 1.0.

    Raises:
        InputError: As many means as there are stds is not the case, or a std or the scale is
            not positive.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], scale: float) -> None:
        if len(mean) != len(std):
            raise InputError(
                f"mean has {len(mean)} bands, std has {len(std)}; give as many of both"
            )
        if scale <= 0 or min(std) <= 0:
            raise InputError(
                f"scale={scale}, std={tuple(std)}: must be above 0; a band that never varies has 1"
            )
        self.gain = 1 / (torch.tensor(std, dtype=torch.float32)[:, None, None] * scale)
        shift = [m / s for m, s in zip(mean, std, strict=True)]
        self.shift = torch.tensor(shift, dtype=torch.float32)[:, None, None]

    def __call__(self, image: Num[Tensor, "c h w"]) -> Float32[Tensor, "c h w"]:
        """The normalised image.

        Raises:
            InputError: Another number of bands than there are means.
        """
        if len(image) != len(self.gain):
            raise InputError(
                f"the picture has {len(image)} bands, but mean and std are for {len(self.gain)}; "
                "give one of each per band"
            )
        return image.float().mul(self.gain).sub_(self.shift)

    def undone(self, image: Float32[Tensor, "c h w"]) -> Float32[Tensor, "c h w"]:
        """The raw values that give a normalised image."""
        return image.add(self.shift).div(self.gain)


@one_thread()
def measure_statistics(
    pictures: Split, count: int = 64
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per band over pixels with data, in units of raw value / scale.

    Args:
        pictures: What to measure.
        count: At most so many pictures are read, evenly spaced in the split.

    A band that never varies has std 1, so that normalising it gives 0.
    """
    number = min(count, len(pictures))
    pixels = 0
    total = torch.zeros(pictures.bands, dtype=torch.float64)
    squares = torch.zeros_like(total)
    for i in range(number):
        sample = pictures[i * len(pictures) // number]
        values = sample.image.double().flatten(1) / pictures.scale
        if sample.missing is not None:
            values = values[:, ~sample.missing.flatten()]
        pixels += values.shape[1]
        total += values.sum(dim=1)
        squares += values.square().sum(dim=1)
    if not pixels:
        raise InputError(f"{pictures.name}: no pixel has data; look at `nodata` and the pictures")
    mean = total / pixels
    std = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std < CONSTANT, torch.ones_like(std), std)
    return tuple(mean.tolist()), tuple(std.tolist())
