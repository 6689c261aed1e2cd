"""An attention that runs in a host, in one form whatever way it was written.

    out[l, i, :] = sum_j w[l, i, j] v[l, j, :]        w from q, k, or as the host computed it

l counts batch rows, windows and heads, i queries and j keys. They may be several axes each.
"""

import math
import string
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """One attention while it runs: the host's own tensors, as views."""

    values: Shaped[Tensor, "..."]
    """(lead, keys, width)."""
    out: Shaped[Tensor, "..."] | None
    """(lead, queries, width); None before it is computed."""
    lead: Axes
    queries: Axes
    keys: Axes
    weights: Shaped[Tensor, "..."] | None = None
    """(lead, queries, keys), of a host that computes them."""
    q: Shaped[Tensor, "..."] | None = None
    k: Shaped[Tensor, "..."] | None = None
    mask: Shaped[Tensor, "..."] | None = None
    causal: bool = False
    scale: float | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Of batch rows, windows and heads together; of queries; of keys."""
        return math.prod(self.lead), math.prod(self.queries), math.prod(self.keys)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it is computed from."""
        return tuple(x for x in (self.q, self.k, self.values) if x is not None)

    def rows(self, place: int, queries: list[int]) -> Float[Tensor, "rows keys"]:
        """Weights of some queries of one head, in double precision."""
        at = _unravelled(place, self.lead)
        if self.weights is not None:
            found = self.weights[at]
            picked = [found[_unravelled(i, self.queries)].flatten() for i in queries]
            return torch.stack(picked).double()
        assert self.q is not None
        assert self.k is not None
        index = torch.tensor(queries, device=self.q.device)
        q, k = self.q[at][index].double(), self.k[at].double()
        scale = 1 / math.sqrt(q.shape[-1]) if self.scale is None else self.scale
        logits = q @ k.mT * scale
        if self.mask is not None:
            mask = self.mask[at][index]
            shut = mask.dtype == torch.bool
            logits = logits.masked_fill(~mask, -math.inf) if shut else logits + mask.double()
        if self.causal:
            later = torch.arange(len(k), device=k.device) > index[:, None]
            logits = logits.masked_fill(later, -math.inf)
        return logits.softmax(-1).nan_to_num(0.0)

    def given(self, place: int, query: int) -> Float[Tensor, " width"]:
        """What the host computed there."""
        assert self.out is not None
        return self.out[_unravelled(place, self.lead)][_unravelled(query, self.queries)].double()

    def values_of(self, place: int) -> Float[Tensor, "keys width"]:
        """The values of one head."""
        found = self.values[_unravelled(place, self.lead)]
        return found.reshape(math.prod(self.keys), -1).double()


def _unravelled(place: int, shape: Axes) -> Axes:
    found = []
    for side in reversed(shape):
        found.append(place % side)
        place //= side
    return tuple(reversed(found))


def fused(args: tuple[Any, ...], options: dict[str, Any], out: Tensor | None) -> Attention:
    """From the arguments of `scaled_dot_product_attention`."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = dict(zip(names, args, strict=False)) | options
    q, k, v = given["query"], given["key"], given["value"]
    if given.get("enable_gqa") and k.shape[-3] != q.shape[-3]:
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3) for x in (k, v))
    broadcast: Any = torch.broadcast_shapes
    lead = broadcast(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (x.expand(*lead, *x.shape[-2:]) for x in (q, k, v))
    mask = given.get("attn_mask")
    if mask is not None:
        mask = mask.expand(*lead, q.shape[-2], k.shape[-2])
    return Attention(
        v,
        out,
        tuple(lead),
        (q.shape[-2],),
        (k.shape[-2],),
        q=q,
        k=k,
        mask=mask,
        causal=bool(given.get("is_causal", False)),
        scale=given.get("scale"),
    )


def product(first: Tensor, second: Tensor, out: Tensor, weighs: int) -> Attention | None:
    """From weights @ values (`weighs` 0), or values @ weights (1), and the result."""
    if first.ndim < 2 or second.ndim < 2:
        return None
    if weighs == 1:
        return product(second.mT, first.mT, out.mT, 0)
    lead = tuple(out.shape[:-2])
    weights, values = (x.expand(*lead, *x.shape[-2:]) for x in (first, second))
    queries, keys = weights.shape[-2:]
    return Attention(values, out, lead, (queries,), (keys,), weights=weights)


def einsum(
    equation: str, first: Tensor, second: Tensor, out: Tensor, weighs: int
) -> Attention | None:
    """From an einsum of weights and values; None where it is no plain sum over keys."""
    letters = _letters(equation, first.ndim, second.ndim, out.ndim)
    if letters is None:
        return None
    w, v = letters[weighs], letters[1 - weighs]
    o = letters[2]
    weights, values = (first, second) if weighs == 0 else (second, first)
    lead = [x for x in w if x in v and x in o]
    queries = [x for x in w if x in o and x not in v]
    keys = [x for x in w if x in v and x not in o]
    width = [x for x in v if x in o and x not in w]
    if len(lead + queries + keys) != len(w) or len(lead + keys + width) != len(v) or not keys:
        return None
    weights = weights.permute([w.index(x) for x in lead + queries + keys])
    values = values.permute([v.index(x) for x in lead + keys + width])
    out = out.permute([o.index(x) for x in lead + queries + width])
    a, b = len(lead), len(lead) + len(queries)
    shape = tuple(weights.shape)
    return Attention(values, out, shape[:a], shape[a:b], shape[b:], weights=weights)


def _letters(equation: str, *ndims: int) -> list[str] | None:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = [*left.split(","), right]
    if not arrow or len(terms) != 3:
        return None
    free = [x for x in string.ascii_letters if x not in equation]
    found = []
    for term, ndim in zip(terms, ndims, strict=True):
        if "..." in term:
            more = free[: ndim - len(term) + 3]
            term = term.replace("...", "".join(reversed(more)))
        if len(term) != ndim or len(set(term)) != ndim:
            return None
        found.append(term)
    return found
