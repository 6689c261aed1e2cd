"""Plain forms of polarized self-attention, coordinate attention and global context."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms, pointwise


def psa_p(layer: Any, x: Tensor) -> Tensor:
    """Both branches on the input; their gated maps are added."""
    channel = layer.norm(layer.expand(_channel_context(layer, x))).sigmoid()[:, :, None, None]
    spatial = _likeness(layer, x)
    if layer.variant == "code":
        spatial = spatial.flatten(2).softmax(-1).view_as(spatial)
    return x * channel + x * spatial.sigmoid()


def psa_s(layer: Any, x: Tensor) -> Tensor:
    """The channels are gated first, the pixels of the result after that."""
    context = _channel_context(layer, x)
    if layer.variant == "code":
        channel = layer.expand(layer.norm(layer.reduce(context)).relu())
    else:
        channel = layer.norm(layer.expand(context))
    x = x * channel.sigmoid()[:, :, None, None]
    return x * _likeness(layer, x).sigmoid()


def _likeness(layer: Any, x: Tensor) -> Tensor:
    """Of every pixel's value to the mean query, where the variant has its softmax."""
    query = pointwise(x, layer.spatial_query).mean((2, 3))[:, None]
    value = pointwise(x, layer.spatial_value).flatten(2)
    if layer.variant == "paper":
        query = query.softmax(-1)
    elif layer.key == "psa_s":
        value = value.softmax(-1)
    return torch.matmul(query, value).view(len(x), 1, *x.shape[2:])


def _channel_context(layer: Any, x: Tensor) -> Tensor:
    value = pointwise(x, layer.channel_value).flatten(2)
    weights = pointwise(x, layer.channel_query).flatten(2).softmax(-1)
    return torch.matmul(value, weights.mT)[..., 0]


def coord(layer: Any, x: Tensor) -> Tensor:
    """Means of rows and of columns through one convolution, and two gates the size of the map."""
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).mT
    pooled = torch.cat([rows, columns], 2)
    hidden = layer.norm(pointwise(pooled, layer.reduce)[..., 0])[..., None]
    hidden = hidden * F.relu6(hidden + 3) / 6
    rows, columns = torch.split(hidden, [x.shape[2], x.shape[3]], 2)
    row_gate = pointwise(rows, layer.expand_rows).sigmoid()
    return x * pointwise(columns.mT, layer.expand_columns).sigmoid() * row_gate


def gc(layer: Any, x: Tensor) -> Tensor:
    """A softmax over the pixels, their weighted mean, and what two transforms make of it."""
    if layer.score is None:
        context = F.adaptive_avg_pool2d(x, 1).flatten(1)
    else:
        weights = pointwise(x, layer.score).flatten(2).softmax(-1)
        context = torch.matmul(x.flatten(2)[:, None], weights[..., None])[:, 0, :, 0]
    y = x
    if layer.mul is not None:
        y = y * layer.mul(context).sigmoid()[:, :, None, None]
    return y if layer.add is None else y + layer.add(context)[:, :, None, None]


FORMS: Forms = {"psa_p": psa_p, "psa_s": psa_s, "coord": coord, "gc": gc}
