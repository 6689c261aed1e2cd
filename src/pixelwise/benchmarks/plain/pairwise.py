"""Plain forms of the layers that compare pixels, or channels, in pairs: matrices of all pairs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms, pointwise


def pam(layer: Any, x: Tensor) -> Tensor:
    """Every pixel weighs every pixel."""
    parts = (layer.query, layer.keys, layer.value)
    query, key, value = (pointwise(x, part).flatten(2) for part in parts)
    weights = torch.bmm(query.mT, key).softmax(-1)
    return layer.gain * torch.bmm(value, weights.mT).view_as(x) + x


def cam(layer: Any, x: Tensor) -> Tensor:
    """Every channel weighs every channel; the largest likeness is spread and subtracted from."""
    flat = x.flatten(2)
    likeness = torch.bmm(flat, flat.mT)
    weights = (likeness.max(-1, keepdim=True)[0].expand_as(likeness) - likeness).softmax(-1)
    return layer.gain * torch.bmm(weights, flat).view_as(x) + x


def non_local(layer: Any, x: Tensor) -> Tensor:
    """Every pixel weighs every pixel, in the mode of the layer."""
    gaussian = layer.mode == "gaussian"
    query = (x if gaussian else pointwise(x, layer.query)).flatten(2)
    key = _pooled(layer, x if gaussian else pointwise(x, layer.keys)).flatten(2)
    value = _pooled(layer, pointwise(x, layer.value)).flatten(2)
    seen = torch.matmul(_weights(layer, query, key), value.mT)
    return _finished(layer, x, seen.mT.contiguous())


def dnl(layer: Any, x: Tensor) -> Tensor:
    """Whitened pairs, and one more softmax that all pixels share."""
    parts = (layer.query, layer.keys, layer.value)
    query, key, value = (pointwise(x, part).flatten(2) for part in parts)
    query, key = query - query.mean(2, keepdim=True), key - key.mean(2, keepdim=True)
    seen = torch.matmul(_weights(layer, query, key), value.mT)
    shared = torch.matmul(pointwise(x, layer.mask).flatten(2).softmax(-1), value.mT)
    return _finished(layer, x, (seen + shared).mT.contiguous())


def criss_cross(layer: Any, x: Tensor) -> Tensor:
    """Column and row by einsum, their scores in one tensor, the pixel itself left out once."""
    own = torch.eye(x.shape[2], dtype=torch.bool, device=x.device)[:, None]
    for _ in range(layer.recurrence):
        query, key, value = (pointwise(x, part) for part in (layer.query, layer.keys, layer.value))
        columns = torch.einsum("bchw,bcuw->bhwu", query, key).masked_fill(own, float("-inf"))
        rows = torch.einsum("bchw,bchv->bhwv", query, key)
        weights = torch.cat([columns, rows], 3).softmax(3)
        columns, rows = torch.split(weights, [x.shape[2], x.shape[3]], 3)
        seen = torch.einsum("bcuw,bhwu->bchw", value, columns)
        x = layer.gain * (seen + torch.einsum("bchv,bhwv->bchw", value, rows)) + x
    return x


def _pooled(layer: Any, x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2) if layer.sub_sample else x


def _weights(layer: Any, query: Tensor, key: Tensor) -> Tensor:
    """The weights of all keys for all queries, (b, n, m)."""
    if layer.mode == "concatenation":
        n, m = query.shape[2], key.shape[2]
        both = [query[..., None].expand(-1, -1, -1, m), key[:, :, None].expand(-1, -1, n, -1)]
        return pointwise(torch.cat(both, 1), layer.score)[:, 0].relu() / m
    scores = torch.matmul(query.mT, key)
    if layer.mode == "dot_product":
        return scores / key.shape[2]
    return (scores * layer.scale).softmax(-1)


def _finished(layer: Any, x: Tensor, seen: Tensor) -> Tensor:
    mixed = pointwise(seen.view(len(x), -1, *x.shape[2:]), layer.expand)
    return x + (mixed if layer.norm is None else layer.norm(mixed))


FORMS: Forms = {
    "pam": pam,
    "cam": cam,
    "nonlocal": non_local,
    "dnl": dnl,
    "crisscross": criss_cross,
}
