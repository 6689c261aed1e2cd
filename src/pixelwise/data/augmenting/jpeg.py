"""The traces of JPEG compression."""

import io

import numpy as np
import torch
from jaxtyping import Num, UInt8
from PIL import Image
from torch import Tensor

from pixelwise.errors import InputError


def compressed(image: Num[Tensor, "c h w"], quality: int) -> UInt8[Tensor, "c h w"]:
    """What JPEG of that quality, 1 to 95, makes of an 8-bit picture of 1 or 3 bands.

    Raises:
        InputError: Another picture.
    """
    check_jpeg(len(image), str(image.dtype).removeprefix("torch."))
    pixels = image.permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(
        file, "JPEG", quality=quality
    )
    found = np.array(Image.open(file)).reshape(pixels.shape)
    return torch.from_numpy(found).permute(2, 0, 1)


def check_jpeg(bands: int, dtype: str) -> None:
    """Raise for pictures that JPEG does not hold; no type is any type."""
    if bands not in (1, 3) or dtype not in ("uint8", ""):
        raise InputError(
            f"augment: jpeg is for 8-bit pictures of 1 or 3 bands, these are {dtype or 'mixed'} of"
            f" {bands}; leave it out"
        )
