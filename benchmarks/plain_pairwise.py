"""Plain forms of the layers that compare pixels pairwise, with their matrices of all pairs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.base import AttentionLayer


def conv(x: Tensor, part: torch.nn.Linear) -> Tensor:
    """A 1x1 convolution with the matrix of a linear map as its weight."""
    return F.conv2d(x, part.weight[:, :, None, None], part.bias)


def pooled(layer: AttentionLayer, x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2) if layer.sub_sample else x


def pair_weights(layer: AttentionLayer, query: Tensor, key: Tensor) -> Tensor:
    """The weights of all keys for all queries, (b, n, m), in the mode of the layer."""
    if layer.mode == "concatenation":
        n, m = query.shape[2], key.shape[2]
        both = [query[..., None].expand(-1, -1, -1, m), key[:, :, None].expand(-1, -1, n, -1)]
        return conv(torch.cat(both, 1), layer.score)[:, 0].relu() / m
    scores = torch.matmul(query.mT, key)
    if layer.mode == "dot_product":
        return scores / key.shape[2]
    return (scores * layer.scale).softmax(-1)


def finished(layer: AttentionLayer, x: Tensor, seen: Tensor) -> Tensor:
    mixed = conv(seen.view(len(x), -1, *x.shape[2:]), layer.expand)
    return x + (mixed if layer.norm is None else layer.norm(mixed))


def plain_nonlocal(layer: AttentionLayer, x: Tensor) -> Tensor:
    gaussian = layer.mode == "gaussian"
    query = (x if gaussian else conv(x, layer.query)).flatten(2)
    key = pooled(layer, x if gaussian else conv(x, layer.keys)).flatten(2)
    value = pooled(layer, conv(x, layer.value)).flatten(2)
    seen = torch.matmul(pair_weights(layer, query, key), value.mT)
    return finished(layer, x, seen.mT.contiguous())


def plain_dnl(layer: AttentionLayer, x: Tensor) -> Tensor:
    parts = (layer.query, layer.keys, layer.value)
    query, key, value = (conv(x, part).flatten(2) for part in parts)
    query, key = query - query.mean(2, keepdim=True), key - key.mean(2, keepdim=True)
    seen = torch.matmul(pair_weights(layer, query, key), value.mT)
    shared = torch.matmul(conv(x, layer.mask).flatten(2).softmax(-1), value.mT)
    return finished(layer, x, (seen + shared).mT.contiguous())


def plain_criss_cross(layer: AttentionLayer, x: Tensor) -> Tensor:
    for _ in range(layer.recurrence):
        query, key, value = (conv(x, part) for part in (layer.query, layer.keys, layer.value))
        columns = torch.einsum("bchw,bcuw->bhwu", query, key)
        own = torch.eye(x.shape[2], dtype=torch.bool, device=x.device)[:, None]
        columns = columns.masked_fill(own, float("-inf"))
        rows = torch.einsum("bchw,bchv->bhwv", query, key)
        weights = torch.cat([columns, rows], 3).softmax(3)
        columns, rows = weights.split([x.shape[2], x.shape[3]], 3)
        seen = torch.einsum("bcuw,bhwu->bchw", value, columns)
        x = layer.gain * (seen + torch.einsum("bchv,bhwv->bchw", value, rows)) + x
    return x


PLAIN = {"nonlocal": plain_nonlocal, "dnl": plain_dnl, "crisscross": plain_criss_cross}
