"""Maps of a host's own attention for one pixel of the picture, with their proof.

w[h, j]      the weights of the token that covers the pixel, for each head h
proof        max over h of |sum_j w[h, j] v[h, j] - out[h]|, relative to the largest |out|
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.cost import measured
from pixelwise.explanation.host_calls import HostCall, look
from pixelwise.explanation.host_forms import Attention
from pixelwise.explanation.host_places import Tokens
from pixelwise.explanation.placing import cell, resampled
from pixelwise.explanation.result import LayerMap


@dataclass(frozen=True)
class Row:
    """Weights of one token of the picture."""

    heads: Float[Tensor, "heads h w"]
    apart: Float[Tensor, " heads"]
    proof: float


def host_maps(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    calls: Sequence[HostCall],
    at: tuple[int, int],
) -> dict[str, LayerMap]:
    """The map of each call for the picture's pixel `at`; none where no query covers it."""
    found: dict[str, LayerMap] = {}
    wanted: dict[int, Callable[[Attention], None]] = {}

    def watch(call: HostCall) -> None:
        assert call.placed is not None
        own = cell(at, call.size, call.covers)
        index = own[0] * call.size[1] + own[1]

        def see(attention: Attention) -> None:
            done = measured(lambda: row(attention, call, index), image.device)
            if done.result is None:
                return
            keys = tokens(call)
            heads = done.result.heads.float().cpu()
            found[call.name] = LayerMap(
                name=call.name,
                key=call.key,
                kind="pixel",
                at=own,
                size=(keys.rows, keys.columns),
                seconds=done.seconds,
                peak_bytes=done.peak_bytes,
                spatial=heads.mean(0),
                covers=keys.area,
                heads=heads,
                apart=done.result.apart.mean().item(),
                proof=done.result.proof,
            )

        wanted[call.number] = see

    for call in calls:
        watch(call)
    if wanted:
        look(model, image, wanted)
    return found


def tokens(call: HostCall) -> Tokens:
    """The places of a call's keys."""
    assert call.placed is not None
    return call.placed.keys


def row(attention: Attention, call: HostCall, index: int) -> Row | None:
    """The weights of the token at a cell, and their proof; None where there is no such token."""
    assert call.placed is not None
    keys = call.placed.keys
    places = (call.placed.queries.cells == index).nonzero().tolist()
    if not places:
        return None
    heads, apart, off, most = [], [], 0.0, 0.0
    for lead, query in places:
        weights = attention.rows(lead, [query])[0]
        given = attention.given(lead, query)
        off = max(off, (weights @ attention.values_of(lead) - given).abs().max().item())
        most = max(most, given.abs().max().item())
        grid, rest = on_grid(weights[None], keys, lead)
        heads.append(grid[0])
        apart.append(rest[0])
    return Row(torch.stack(heads), torch.stack(apart), off / most if most else off)


def on_grid(
    weights: Float[Tensor, "rows keys"], keys: Tokens, lead: int
) -> tuple[Float[Tensor, "rows h w"], Float[Tensor, " rows"]]:
    """Weights of keys as maps of the picture, and what lies on keys that are no pixels."""
    cells = keys.cells[lead].to(weights.device)
    found = weights.new_zeros(len(weights), keys.rows * keys.columns + 1)
    found.index_add_(1, torch.where(cells < 0, keys.rows * keys.columns, cells), weights)
    return found[:, :-1].view(-1, keys.rows, keys.columns), found[:, -1]


def seen_through(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"],
    call: HostCall,
    asked: Sequence[tuple[int, float]],
) -> Float[Tensor, "rows columns"]:
    """What some pixels of a call see, each by its weight: the mean of the heads, sums to one.

    A pixel that sees no other, or that no query lies on, keeps its weight.
    """
    assert call.placed is not None
    keys, queries = call.placed.keys, call.placed.queries
    total = torch.zeros(keys.rows, keys.columns, dtype=torch.float64, device=image.device)

    def see(attention: Attention) -> None:
        for index, weight in asked:
            places = (queries.cells == index).nonzero().tolist()
            rows = [
                on_grid(attention.rows(lead, [query]), keys, lead)[0][0] for lead, query in places
            ]
            row = torch.stack(rows).mean(0) if rows else torch.zeros_like(total)
            if row.sum() <= 0:
                own = torch.zeros(queries.rows, queries.columns).to(total)
                own.view(-1)[index] = 1
                row = resampled(own, (keys.rows, keys.columns))
            total.add_(weight * row / row.sum())

    look(model, image, {call.number: see})
    return total.float()
