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
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.explanation.host_calls import HostCall, look
from pixelwise.explanation.host_maps import seen_through
from pixelwise.explanation.placing import resampled
from pixelwise.explanation.reading import heads_of, maps_of, total
from pixelwise.explanation.recording import LayerCall, recorded

AnyCall = LayerCall | HostCall
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
    model: nn.Module, image: Float[Tensor, "1 c h w"], calls: Sequence[AnyCall]
) -> list[AnyCall]:
    """The calls through which the last of `calls` sees, the last first.

    A call belongs to it if the next one's input changes with its output: for each, the network runs
    once with that output disturbed.
    """
    found = [calls[-1]]
    for call in reversed(calls[:-1]):
        if len(found) == MOST_LAYERS:
            break
        following = found[-1]
        if _same_area(call, following) and _reaches(model, image, call, following):
            found.append(call)
    return found


def _same_area(first: AnyCall, second: AnyCall) -> bool:
    """Whether both see the same of the picture, up to half a cell."""
    return all(
        abs(a - b) <= 0.5 * b / min(m, n)
        for a, b, m, n in zip(first.covers, second.covers, first.size, second.size, strict=True)
    )


def _reaches(model: nn.Module, image: Tensor, first: AnyCall, second: AnyCall) -> bool:
    """Whether the input of `second` depends on the output of `first`."""
    before, after = (_received(model, image, second, other) for other in (None, first))
    pairs = zip(after, before, strict=True)
    return any((a - b).abs().max() > 1e-6 * b.abs().max() for a, b in pairs)


def _received(
    model: nn.Module, image: Tensor, call: AnyCall, disturbed: AnyCall | None
) -> tuple[Tensor, ...]:
    """What a call receives, perhaps with the output of another one disturbed."""
    if disturbed is None and isinstance(call, LayerCall):
        return call.inputs
    noise = torch.Generator().manual_seed(0)
    times = 0

    def added(output: Tensor) -> Tensor:
        random = torch.randn(output.shape, generator=noise).to(output)
        return output + random * (output.std(correction=0) + 1e-3)

    def disturb(_: nn.Module, __: object, output: Tensor) -> Tensor | None:
        nonlocal times
        times += 1
        return added(output) if times == wanted else None

    with ExitStack() as stack:
        if isinstance(disturbed, LayerCall):
            wanted = int(disturbed.name.rpartition("#")[2]) if "#" in disturbed.name else 1
            stack.callback(disturbed.layer.register_forward_hook(disturb).remove)
        changed = {disturbed.number: added} if isinstance(disturbed, HostCall) else {}
        if isinstance(call, HostCall):
            kept: list[Tensor] = []
            wishes = {call.number: lambda seen: kept.extend(x.clone() for x in seen.inputs)}
            look(model, image, wishes, changed)
            return tuple(kept)
        with recorded(model, (image.shape[2], image.shape[3])) as calls:
            look(model, image, {}, changed)
    found = next((one for one in calls if one.name == call.name), call)
    return found.inputs


def roll_out(
    calls: Sequence[AnyCall],
    at: tuple[int, int],
    *,
    model: nn.Module | None = None,
    image: Float[Tensor, "1 c h w"] | None = None,
    share: float = SHARE,
    most: int = MOST_PIXELS,
) -> Rolled:
    """Follow the ways of one pixel back through a chain of calls.

    Args:
        calls: The chain, the last call first.
        at: The pixel (row, column) of the last one's output.
        model: The network, where one of the calls is the host's own.
        image: Its input, likewise.
        share: The part of the weight whose pixels are followed.
        most: How many are followed at most, per layer.
    """
    last = calls[0]
    device = last.inputs[0].device if isinstance(last, LayerCall) else None
    device = image.device if device is None and image is not None else device
    weights = torch.zeros(last.size, device=device)
    weights[at] = 1
    found = {}
    for call in calls:
        weights = resampled(weights, call.size)
        if isinstance(call, HostCall):
            assert model is not None
            assert image is not None
            seen = seen_through(model, image, call, followed(weights.flatten(), share, most))
            weights = (resampled(weights, seen.shape) + seen) / 2
        else:
            weights = _through(call, weights, share, most)
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
