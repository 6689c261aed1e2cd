"""Which input pixels an output pixel depends on, and how much, from gradients.

    g      = d(v . y[:, i, j]) / dx       v: random signs, so that no two channels cancel
    E[p]   = mean |g[:, p]|^2             over pictures and signs: the squared Jacobian of pixel p

E is the effective receptive field of output pixel (i, j). Half of it usually lies far nearer than
the pixels that could have an influence at all.

Source: Luo et al., "Understanding the effective receptive field in deep convolutional neural
    networks", 2016 (arXiv 1701.04128). There the gradient of one channel is averaged; the squares
    here keep contributions of opposite signs.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError

NOISE = 0.02
"""How far `disturbed` moves parameters; more would saturate gates and softmaxes."""

Pixel = tuple[int, int]
"""Row and column."""


@dataclass(frozen=True)
class Energy:
    """Gradient energy of an output pixel at every input pixel.

    Args:
        at: The input pixel below the output pixel.
        values: Energies, of any scale.
    """

    at: Pixel
    values: Float[np.ndarray, "h w"]

    @cached_property
    def _elsewhere(self) -> Float[np.ndarray, "h w"]:
        values = self.values.copy()
        values[self.at] = 0
        return values

    @property
    def is_local(self) -> bool:
        """Whether nothing comes from other pixels."""
        return not self._elsewhere.any()

    @property
    def elsewhere(self) -> float:
        """Share of the energy that other pixels have; NaN where there is none at all."""
        total = float(self.values.sum())
        return float(self._elsewhere.sum()) / total if total > 0 else math.nan

    def radius(self, share: float) -> float:
        """Radius in pixels that holds this share of the other pixels' energy; NaN: they have none.

        The pixel itself is left out: residual layers would have all their energy there.
        """
        if not 0 < share <= 1:
            raise InputError(f"share={share:g}: must be above 0 and at most 1; give e.g. 0.9")
        if self.is_local:
            return math.nan
        rows, columns = np.indices(self.values.shape)
        distances = np.hypot(rows - self.at[0], columns - self.at[1]).ravel()
        order = np.argsort(distances, kind="stable")
        held = np.cumsum(self._elsewhere.ravel()[order])
        return float(distances[order][np.searchsorted(held, share * held[-1] * (1 - 1e-12))])

    @property
    def by_distance(self) -> list[float]:
        """Share of the energy at Chebyshev distance 0, 1, 2 and so on."""
        totals = np.bincount(chebyshev(self.at, self.values.shape).ravel(), self.values.ravel())
        return [float(part) for part in totals / max(totals.sum(), np.finfo(float).tiny)]


def chebyshev(at: Pixel, size: Sequence[int]) -> Int[np.ndarray, "h w"]:
    """Distance of every pixel from one: rows or columns, whichever are more."""
    rows, columns = np.indices(tuple(size))
    return np.maximum(abs(rows - at[0]), abs(columns - at[1]))


def below(at: Pixel, output: Sequence[int], size: Sequence[int]) -> Pixel:
    """The input pixel below the centre of an output pixel, where the two maps differ in size."""
    row, column = (
        min(whole - 1, int((place + 0.5) * whole / part))
        for place, part, whole in zip(at, output, size, strict=True)
    )
    return row, column


def input_gradients(
    run: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    pixels: Sequence[Pixel],
    generator: torch.Generator,
) -> Float[Tensor, "n c h w"]:
    """Gradient of output pixel `pixels[i]` of picture i, with random signs for its channels.

    Pictures must not influence each other: networks are to be in eval mode.

    Args:
        run: The network, (n, c, h, w) -> (n, o, i, j).
        x: Pictures.
        pixels: An output pixel for each.
        generator: Of the signs, on the CPU.

    Raises:
        InputError: A pixel lies outside of the output, or the output is no map.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = run(x)
        _check(y, len(x), pixels)
        signs = torch.randint(0, 2, (len(x), y.shape[1]), generator=generator) * 2 - 1
        rows, columns = (torch.tensor(places) for places in zip(*pixels, strict=True))
        picked = y[torch.arange(len(x)), :, rows, columns]
        total = (picked * signs.to(picked)).sum()
        if not total.requires_grad:
            return torch.zeros_like(x)
        (gradient,) = torch.autograd.grad(total, x, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def _check(y: object, pictures: int, pixels: Sequence[Pixel]) -> None:
    if not isinstance(y, Tensor) or y.ndim != 4 or len(y) != pictures:
        told = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise InputError(
            f"output={told}: must be one tensor (pictures, channels, rows, columns); wrap the"
            " module in a function that returns the map to look at"
        )
    height, width = y.shape[2:]
    for row, column in pixels:
        if not (0 <= row < height and 0 <= column < width):
            raise InputError(
                f"at=({row}, {column}): outside of an output of {height} rows and {width} columns;"
                f" rows count from 0 to {height - 1}, columns from 0 to {width - 1}"
            )


def gradient_energy(
    run: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    pixels: Sequence[Pixel],
    *,
    batch: int = 1,
    seed: int = 0,
) -> Float[Tensor, "pixels h w"]:
    """Mean over pictures of the squared gradient, summed over input channels, in float64.

    Memory is that of a training step on `batch` pictures, whatever their number and that of pixels.

    Args:
        run: The network in eval mode, (n, c, h, w) -> (n, o, i, j).
        x: Pictures; real ones, or noise.
        pixels: Of the output, (row, column).
        batch: How many pixels are asked about at once.
        seed: Of the signs.

    Raises:
        InputError: A pixel lies outside of the output, or the output is no map.
    """
    at_least(1, batch=batch, pictures=len(x), pixels=len(pixels))
    generator = torch.Generator().manual_seed(seed)
    parts = [pixels[start : start + batch] for start in range(0, len(pixels), batch)]
    total = []
    for part in parts:
        energy = torch.zeros(len(part), *x.shape[2:], dtype=torch.float64)
        for picture in x:
            same = picture.expand(len(part), -1, -1, -1)
            gradient = input_gradients(run, same, part, generator)
            energy += gradient.cpu().double().square().sum(1)
        total.append(energy / len(x))
    return torch.cat(total)


def disturbed(module: nn.Module, *, seed: int = 0, scale: float = NOISE) -> nn.Module:
    """A copy in eval mode with every parameter moved a little.

    Layers that start as the identity, by a gain of zero, show what they do only so.
    """
    moved = copy.deepcopy(module).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in moved.parameters():
            if parameter.is_floating_point():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter), alpha=scale)
    return moved
