"""Does a map tell what matters: delete what it points at, and see what the network still says.

    p(s) = probability of the class, with the share s of the pixels replaced by the mean colour

in the order of the map, the most attended first, and in random orders. Both orders take whole cells
of the map (of at most 32 x 32, larger maps are averaged): noise of single pixels would disturb a
network more than patches do, whatever they show. Of equal cells, chance decides which comes first;
weights count by their size, whatever their sign.

The asked pixel's neighbourhood, a square of an eighth of the picture's shorter side, is never
deleted: without the pixel itself any network fails, and a map that only points at it would seem to
tell what matters. What is tested is the context. A network that classifies the picture as a whole
asks about no pixel, so there everything may go.

Source: the deletion metric of Petsiuk et al., "RISE", 2018, https://arxiv.org/abs/1806.07421, with
random orders beside it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pixelwise.explanation.placing import Area, cells, resampled
from pixelwise.explanation.result import Deletion

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
ORDERS = 3
"""Random orders."""
CELLS = 32
"""Rows and columns of the cells at most."""
BATCH_PIXELS = 1 << 20
"""Pixels that run through the network at once, or one picture."""
Probability = Callable[[Tensor], Tensor]
"""From pictures (n, c, h, w) to the class's probability in each, (n)."""


class Ranked(NamedTuple):
    """A map whose order of deletion is asked for."""

    name: str
    values: Float[Tensor, "i j"]
    covers: Area


def deletions(
    probability: Probability,
    image: Float[Tensor, "1 c h w"],
    maps: Sequence[Ranked],
    at: tuple[int, int] | None,
    *,
    seed: int = 0,
) -> tuple[Deletion, ...]:
    """A deletion for every map that has an order: one that is the same everywhere has none.

    Args:
        probability: Of the class, in each of several pictures.
        image: The picture.
        maps: Whose orders are tried. Those of one size share their random orders.
        at: The pixel that is asked about; None for a network that answers for the whole picture.
        seed: Of the random orders.
    """
    kept = neighbourhood(image, at)
    whole = probability(image).item()
    chance: dict[tuple[tuple[int, ...], Area], tuple[list[tuple[float, ...]], float]] = {}
    found = []
    for name, values, covers in maps:
        values = values.detach().cpu().double().abs()
        values = resampled(values, [min(side, CELLS) for side in values.shape])
        if values.max() - values.min() <= 1e-6 * values.max():
            continue
        noise = torch.Generator().manual_seed(seed)
        key = (tuple(values.shape), covers)
        if key not in chance:
            start = time.perf_counter()
            ranks = [_shuffled(values, noise) for _ in range(ORDERS)]
            curves = [(whole, *_curve(probability, image, rank, covers, kept)) for rank in ranks]
            chance[key] = (curves, time.perf_counter() - start)
        random, seconds = chance[key]
        start = time.perf_counter()
        order = _descending(values, noise)
        attended = (whole, *_curve(probability, image, order, covers, kept))
        seconds += time.perf_counter() - start
        found.append(Deletion(name, SHARES, attended, tuple(random), seconds))
    return tuple(found)


def neighbourhood(
    image: Float[Tensor, "1 c h w"], at: tuple[int, int] | None
) -> Bool[Tensor, "h w"]:
    """The pixels around the asked one that are never deleted."""
    height, width = image.shape[2:]
    if at is None:
        return torch.zeros(height, width, dtype=torch.bool)
    reach = max(1, min(height, width) // 16)
    rows, columns = (torch.arange(s) - place for s, place in zip((height, width), at, strict=True))
    return (rows[:, None].abs() <= reach) & (columns.abs() <= reach)


def _shuffled(values: Tensor, noise: torch.Generator) -> Int[Tensor, "i j"]:
    """A random rank for each cell."""
    return torch.randperm(values.numel(), generator=noise).view(values.shape)


def _descending(values: Tensor, noise: torch.Generator) -> Int[Tensor, "i j"]:
    """The rank of each cell, the largest value first."""
    shuffled = torch.randperm(values.numel(), generator=noise)
    order = shuffled[values.flatten()[shuffled].argsort(descending=True, stable=True)]
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order))).view(values.shape)


def _curve(
    probability: Probability, image: Tensor, ranks: Tensor, covers: Area, kept: Tensor
) -> tuple[float, ...]:
    """The probability at each share above 0, with the cells deleted by their rank."""
    height, width = image.shape[2:]
    rows, columns = (
        cells(side, count, area)
        for side, count, area in zip((height, width), ranks.shape, covers, strict=True)
    )
    ranks = torch.where(kept, ranks.numel(), ranks[rows[:, None], columns])
    order = ranks.flatten().argsort(stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    place = place.view(height, width)
    mean = image.mean(dim=(2, 3), keepdim=True)
    counts = [min(round(share * len(order)), len(order) - int(kept.sum())) for share in SHARES[1:]]
    found: list[float] = []
    for some in batches(counts, image):
        gone = torch.stack([place < count for count in some])[:, None].to(image.device)
        found += probability(torch.where(gone, mean, image)).tolist()
    return tuple(found)


def batches(items: Sequence[int], image: Tensor) -> Iterator[Sequence[int]]:
    """`items` in lots of as many pictures as may run at once."""
    count = max(1, min(8, BATCH_PIXELS // image.shape[2:].numel()))
    for start in range(0, len(items), count):
        yield items[start : start + count]
