"""Theoretical and effective receptive fields of a layer.

    theoretical   the pixels that can change the output at a pixel at all
    effective     how much each of them does, see `receptive`

The first are found by gradients in float64, on several random inputs and parameters, and where
gradients are zero by putting other values there. What a pixel learns from afar is "unordered" where
exchanging the far pixels among each other leaves the output as it was: then no training can make
it tell where something is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.probe.field_search import ROUNDING, Order, Trial, hidden, order
from pixelwise.probe.field_shapes import named
from pixelwise.receptive import (
    NOISE,
    Energy,
    Pixel,
    below,
    disturbed,
    gradient_energy,
    input_gradients,
)

ORDERS: dict[Order, str] = {
    "local": "nothing from elsewhere",
    "unordered": "an unordered summary",
    "lines": "a summary of each row and column",
    "ordered": "depends on where it comes from",
}
"""How what comes from afar depends on its place, in words."""

SCALES = (1.0, 1.0, 3.0, 1.0, 1.0, 30.0)
"""Of the noise that is tried: learnt offsets are long where values are large."""
ORDER_TRIALS = 3
"""So many draws must agree that places do not matter."""
MOVING = 0.9
"""A field of which one input shows a smaller part than this moves with the content."""


@dataclass(frozen=True)
class Support:
    """A theoretical receptive field.

    Args:
        at: The input pixel below the output pixel.
        members: Where a value can change the output.
        moves: Whether which pixels these are depends on the content.
        order: How what comes from afar depends on its place.
        near: Pixels up to this distance (Chebyshev) are not counted as afar.
    """

    at: Pixel
    members: Bool[np.ndarray, "h w"]
    moves: bool
    order: Order
    near: int

    @cached_property
    def _offsets(self) -> Float[np.ndarray, "n 2"]:
        return np.argwhere(self.members).astype(float) - self.at

    @property
    def reach(self) -> int:
        """The largest distance of a member in rows or columns (Chebyshev)."""
        return int(np.abs(self._offsets).max(initial=0))

    @property
    def distance(self) -> float:
        """The largest distance of a member as the crow flies (Euclidean), in pixels."""
        return float(np.hypot(*self._offsets.T).max(initial=0))

    @property
    def share(self) -> float:
        """Share of the map's pixels that are members."""
        return float(self.members.mean())

    @property
    def shape(self) -> str:
        """What the members look like, in a few words."""
        if self.moves:
            return "pixels that move with the content"
        return named(self.members, self.at)

    @property
    def told(self) -> str:
        """Shape and order, for a table."""
        if self.order == "local":
            return self.shape
        beyond = f" beyond {self.near} px" if self.near and self.order != "ordered" else ""
        return f"{self.shape}; {ORDERS[self.order]}{beyond}"


def theoretical(
    module: nn.Module,
    channels: int,
    size: tuple[int, int],
    *,
    at: Pixel | None = None,
    draws: int = 6,
    seed: int = 0,
) -> Support:
    """Which pixels can change the output at a pixel, and whether their places matter.

    Args:
        module: A layer or network of one map; a layer with a guide gets a random 1x1 projection of
            the map as its guide.
        channels: Of the map.
        size: Rows and columns of the map; layers get the next size that they take.
        at: The output pixel (row, column); by default the middle.
        draws: Random parameters and inputs that are tried.
        seed: Of these.

    Raises:
        InputError: The layer cannot take such a map, or the pixel lies outside.
    """
    at_least(1, channels=channels, draws=draws, rows=size[0], columns=size[1])
    size = fitting(module, size)
    found: list[Bool[np.ndarray, "h w"]] = []
    generator = torch.Generator().manual_seed(seed)
    for draw in range(draws):
        run, x = _trial(module, channels, size, seed + draw, draw)
        pixel, centre = _query(run, x, at)
        gradient = input_gradients(run, x, [pixel], generator)[0].square().sum(0).sqrt()
        found.append((gradient > ROUNDING * gradient.max()).numpy())
    # The draws that show most come first: in others a gate may be shut.
    best = np.argsort([-one.sum() for one in found], kind="stable").tolist()
    trials = [_trial(module, channels, size, seed + b, b) for b in best[:ORDER_TRIALS]]
    first, members = found[best[0]], np.logical_or.reduce(found)
    if moves := bool(first.sum() < MOVING * members.sum()):
        first |= hidden(*trials[0], pixel, ~first)
        moves = bool(first.sum() < MOVING * members.sum())
        members |= first
    members |= hidden(*trials[0], pixel, ~members)
    if moves:
        return Support(centre, members, moves, "ordered", 0)
    return Support(centre, members, moves, *order(trials, pixel, centre, members))


def unordered(
    module: nn.Module,
    channels: int,
    size: tuple[int, int],
    *,
    at: Pixel | None = None,
    seed: int = 0,
) -> bool:
    """Whether a pixel learns of far ones without learning where they are.

    Then exchanging the far pixels of a map changes nothing, and the layer alone cannot be trained
    to tell an order, a side or a distance.
    """
    return theoretical(module, channels, size, at=at, draws=2, seed=seed).order == "unordered"


def effective(
    module: nn.Module,
    channels: int,
    size: tuple[int, int],
    *,
    at: Pixel | None = None,
    draws: int = 16,
    seed: int = 0,
    disturb: bool = True,
) -> Energy:
    """The effective receptive field over random inputs.

    Args:
        module: A layer or network of one map, see `theoretical`.
        channels: Of the map.
        size: Rows and columns of the map; layers get the next size that they take.
        at: The output pixel (row, column); by default the middle.
        draws: Random inputs.
        seed: Of these.
        disturb: Move all parameters a little; for modules that are not trained, since many layers
            start as the identity.

    Raises:
        InputError: The layer cannot take such a map, or the pixel lies outside.
    """
    at_least(1, channels=channels, draws=draws, rows=size[0], columns=size[1])
    size = fitting(module, size)
    like = next(iter(module.parameters()), torch.zeros(0))
    run = _guided(disturbed(module, seed=seed, scale=NOISE if disturb else 0.0), channels, seed)
    x = torch.cat([_noise(channels, size, seed + draw) for draw in range(draws)]).to(like)
    pixel, centre = _query(run, x[:1], at)
    return Energy(centre, gradient_energy(run, x, [pixel], seed=seed)[0].numpy())


def fitting(module: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """The next size that a layer takes."""
    if not isinstance(module, Layer):
        return size
    least, multiple, _ = module.limits
    height, width = (-(-max(side, least) // multiple) * multiple for side in size)
    return height, width


def _trial(module: nn.Module, channels: int, size: tuple[int, int], seed: int, kind: int) -> Trial:
    """The module in float64 with other parameters, and noise.

    The noise is positive for odd kinds (what passes a ReLU), and large for some.
    """
    run = _guided(disturbed(module, seed=seed).cpu().double(), channels, seed)
    x = _noise(channels, size, seed, torch.float64)
    return run, SCALES[kind % len(SCALES)] * (x.abs() if kind % 2 else x)


def _noise(
    channels: int, size: tuple[int, int], seed: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "1 c h w"]:
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(1, channels, *size, generator=generator, dtype=dtype)


def _guided(module: nn.Module, channels: int, seed: int) -> Callable[[Tensor], Tensor]:
    """The module; one with a guide is given a random 1x1 projection of the map."""
    if not isinstance(module, FusionLayer):
        return module
    _, guides, _, _ = module.benchmark_guide({}, (1, channels, 1, 1))
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(guides, channels, 1, 1, generator=generator) / channels**0.5

    def run(x: Tensor) -> Tensor:
        return module(x, nn.functional.conv2d(x, weight.to(x)))

    return run


def _query(
    run: Callable[[Tensor], Tensor], x: Float[Tensor, "n c h w"], at: Pixel | None
) -> tuple[Pixel, Pixel]:
    """The output pixel, and the input pixel below it."""
    with torch.no_grad():
        height, width = run(x).shape[2:]
    pixel = (height // 2, width // 2) if at is None else at
    same = (height, width) == tuple(x.shape[2:])
    return pixel, pixel if same else below(pixel, (height, width), x.shape[2:])
