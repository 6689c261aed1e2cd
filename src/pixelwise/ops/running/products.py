"""Products of a map with one vector per image, without autograd.

over_pixels     r_c = sum_n p_n x_cn     a weighted sum of the pixels
over_channels   s_n = sum_c u_c x_cn     a score for every pixel
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import blocks
from pixelwise.ops.running.precision import statistics_dtype


def over_pixels(x: Float[Tensor, "b c n"], weights: Float[Tensor, "b n"]) -> Float[Tensor, "b c"]:
    """Sum the pixels of each image with its own weights, in the type of statistics."""
    kind = statistics_dtype(x)
    if blocks.cached(x.device):  # one product per image: a batched one is several times slower
        pairs = zip(x, weights.to(kind), strict=True)
        return torch.stack([torch.mv(image.to(kind), weight) for image, weight in pairs])
    return torch.bmm(x, weights.to(x.dtype)[:, :, None])[:, :, 0].to(kind)


def over_channels(x: Float[Tensor, "b c n"], vector: Float[Tensor, "b c"]) -> Float[Tensor, "b n"]:
    """Project every pixel of each image on its own vector, in the type of statistics."""
    return over_pixels(x.mT, vector)
