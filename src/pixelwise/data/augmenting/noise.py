"""Gaussian noise, as strong in each band as the band varies anyway."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Num, Shaped
from torch import Tensor

from pixelwise.data.augmenting.blur import as_before


def noisy(
    image: Num[Tensor, "c h w"], deviations: Sequence[float], rng: np.random.Generator
) -> Shaped[Tensor, "c h w"]:
    """The picture with noise of that standard deviation in each band, in raw values."""
    noise = torch.from_numpy(rng.standard_normal(image.shape, np.float32))
    return as_before(image.float() + noise * torch.tensor(deviations)[:, None, None], image.dtype)
