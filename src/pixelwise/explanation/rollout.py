"""Attention across layers: what a pixel of the last layer sees through all layers before it.

    r  = (d + A_last[at, :]) / 2                     half stays where it is: the residual connection
    r' = sum_n r(n) (d_n + A_before[n, :]) / 2       for each layer before, the last of them first

d_n is all weight on pixel n; a row of A is a layer's map, scaled to sum to one. What lies between
the layers (convolutions, norms) is taken as the identity, as are heads' values: r says by which
ways attention could bring information, not how much arrived. Layers of different resolutions share
the picture's area.

A row is computed for one pixel n at a time, and only for those that hold most of r: no matrix of
all pairs of pixels ever exists. Where too many pixels hold it, the heaviest count by their own, and
evenly spaced ones, by weight, stand for the rest.

Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020,
https://arxiv.org/abs/2005.00928.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.placing import resampled
from pixelwise.explanation.reading import heads_of, maps_of, total
from pixelwise.explanation.recording import LayerCall, recorded

MOST_LAYERS = 8
"""Layers of a chain, counted from its end."""
SHARE = 0.95
"""The part of the weight whose pixels are followed."""
MOST_PIXELS = 256
"""Pixels that are followed at most, per layer."""


@dataclass(frozen=True)
class Rolled:
    """Weights of the pixels of the first layer's input, and of each layer's on the way."""

    spatial: Float[Tensor, "h w"]
    chain: dict[str, Float[Tensor, "_ _"]]
    """By layer, the last first."""


def chain(
    model: nn.Module, image: Float[Tensor, "1 c h w"], calls: Sequence[LayerCall]
) -> list[LayerCall]:
    """The calls through which the last of `calls` sees, the last first.

    A call belongs to it if the next one's input changes with its output: for each, the network runs
    once with that output disturbed.
    """
    found = [calls[-1]]
    for call in reversed(calls[:-1]):
        if len(found) == MOST_LAYERS:
            break
        following = found[-1]
        if call.covers == following.covers and _reaches(model, image, call, following):
            found.append(call)
    return found


def _reaches(model: nn.Module, image: Tensor, first: LayerCall, second: LayerCall) -> bool:
    """Whether the input of `second` depends on the output of `first`."""
    noise = torch.Generator().manual_seed(0)
    wanted = int(first.name.rpartition("#")[2]) if "#" in first.name else 1
    times = 0

    def disturb(_: nn.Module, __: object, output: Tensor) -> Tensor | None:
        nonlocal times
        times += 1
        if times != wanted:
            return None
        added = torch.randn(output.shape, generator=noise).to(output)
        return output + added * (output.std(correction=0) + 1e-3)

    hook = first.layer.register_forward_hook(disturb)
    try:
        with recorded(model, (image.shape[2], image.shape[3])) as calls:
            model(image)
    finally:
        hook.remove()
    found = next((call for call in calls if call.name == second.name), second)
    pairs = zip(found.inputs, second.inputs, strict=True)
    return any((a - b).abs().max() > 1e-6 * b.abs().max() for a, b in pairs)


def roll_out(
    calls: Sequence[LayerCall],
    at: tuple[int, int],
    *,
    share: float = SHARE,
    most: int = MOST_PIXELS,
) -> Rolled:
    """Follow the ways of one pixel back through a chain of calls.

    Args:
        calls: The chain, the last call first.
        at: The pixel (row, column) of the last one's output.
        share: The part of the weight whose pixels are followed.
        most: How many are followed at most, per layer.
    """
    x = calls[0].inputs[0]
    weights = torch.zeros(calls[0].size, device=x.device)
    weights[at] = 1
    found = {}
    for call in calls:
        weights = _through(call, resampled(weights, call.size), share, most)
        found[call.name] = weights
    return Rolled(weights, found)


def _through(
    call: LayerCall, weights: Float[Tensor, "i j"], share: float, most: int
) -> Float[Tensor, "h w"]:
    """From weights of a layer's output to those of its input."""
    size, columns = call.inputs[0].shape[2:], weights.shape[1]
    seen = torch.zeros(size, device=weights.device)
    for index, weight in followed(weights.flatten(), share, most):
        place = (index // columns, index % columns)
        maps = maps_of(call.layer, call.inputs, place)
        heads = heads_of(call.layer, maps, call.inputs[0], place)
        assert heads is not None
        row = total(call.layer, heads)
        if row.sum() <= 0:  # sees nothing: all that is left is the pixel itself
            row = torch.zeros_like(weights)
            row[place] = 1
        seen = seen + weight * resampled(row / row.sum(), size)
    return (resampled(weights, size) + seen) / 2


def followed(weights: Float[Tensor, " n"], share: float, most: int) -> list[tuple[int, float]]:
    """Pixels that stand for all, and their weights, which have the sum of `weights`."""
    heavy, order = weights.sort(descending=True)
    sums = heavy.cumsum(0)
    whole = sums[-1]
    enough = int((sums < share * whole).sum()) + 1
    if enough <= min(most, len(heavy)):
        kept = heavy[:enough] * (whole / sums[enough - 1])
        return list(zip(order[:enough].tolist(), kept.tolist(), strict=True))
    own, rest = most - most // 2, most // 2
    left = whole - sums[own - 1]
    steps = sums[own - 1] + left * (torch.arange(rest, device=sums.device) + 0.5) / rest
    places = torch.searchsorted(sums, steps).clamp(max=len(order) - 1)
    found = list(zip(order[:own].tolist(), heavy[:own].tolist(), strict=True))
    return found + [(place, left.item() / rest) for place in order[places].tolist()]
