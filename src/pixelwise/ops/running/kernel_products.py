"""Products of a map with one vector per image; `running.products` says which.

The map is read once, in its own type, and multiplied in float32.
"""

from typing import no_type_check

import torch
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running.kernel_launch import TILE, built, launch, parts, places, program


@built("b")
@no_type_check
def project(x, x_b, x_c, x_n, vector, found, b, c, n, wide, high, tile: tl.constexpr):
    """The products of `over_channels`, of some channels each."""
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    u = tl.load(vector + image * c + rows, mask=in_c, other=0).to(tl.float32)
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    seen = tl.load(at, mask=in_c[:, None] & in_n[None], other=0).to(tl.float32)
    along = tl.sum(seen * u[:, None], axis=0)
    tl.store(found + (at_c * b + image) * n + columns, along, mask=in_n)


@built("b")
@no_type_check
def _pair(x, x_b, x_c, x_n, y, y_b, y_c, y_n, found, b, c, n, wide, high, tile: tl.constexpr):
    at_n, at_c, image = program(wide, high)
    columns, in_n = places(at_n, tile, n)
    rows, in_c = places(at_c, tile, c)
    inside = in_c[:, None] & in_n[None]
    at = x + image * x_b + rows[:, None] * x_c + columns[None] * x_n
    one = tl.load(at, mask=inside, other=0).to(tl.float32)
    at = y + image * y_b + rows[:, None] * y_c + columns[None] * y_n
    other = tl.load(at, mask=inside, other=0).to(tl.float32)
    along = tl.sum(one * other, axis=0)
    tl.store(found + (at_c * b + image) * n + columns, along, mask=in_n)


def over_channels(x: Float[Tensor, "b c n"], vector: Float[Tensor, "b c"]) -> Float[Tensor, "b n"]:
    """Project every pixel of each image on its own vector, in float32."""
    b, c, n = x.shape
    found = x.new_empty(parts(c), b, n, dtype=torch.float32)
    grid = (parts(n), parts(c), b)
    launch(project, grid, x, *x.stride(), vector.contiguous(), found, b, c, n, tile=TILE)
    return found.sum(dim=0)


def over_pixels(x: Float[Tensor, "b c n"], weights: Float[Tensor, "b n"]) -> Float[Tensor, "b c"]:
    """Sum the pixels of each image with its own weights, in float32."""
    return over_channels(x.mT, weights)


def pixel_products(x: Float[Tensor, "b c n"], y: Float[Tensor, "b c n"]) -> Float[Tensor, "b n"]:
    """The product of each pixel of `x` with that of `y`, in float32; x * y is not written."""
    b, c, n = x.shape
    found = x.new_empty(parts(c), b, n, dtype=torch.float32)
    grid = (parts(n), parts(c), b)
    launch(_pair, grid, x, *x.stride(), y, *y.stride(), found, b, c, n, tile=TILE)
    return found.sum(dim=0)
