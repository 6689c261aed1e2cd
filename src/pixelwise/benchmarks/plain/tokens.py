"""Plain forms of self-attention, interlaced sparse self-attention and object context.

Convolutions and norms as modules, all pairs as a matrix, whole maps brought into groups,
concatenations written.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms


def self_attention(layer: Any, x: Tensor) -> Tensor:
    """Every pixel weighs every pixel of the pooled map."""
    height, width = x.shape[2:]
    if layer.pool > 1:
        x = F.max_pool2d(x, layer.pool)
    seen = _seen(layer.query(x), layer.keys(x), layer.value(x))
    y = layer.project(seen)
    if layer.pool > 1:
        y = F.interpolate(y, size=(height, width), mode="bilinear", align_corners=True)
    return y


def isa(layer: Any, x: Tensor) -> Tensor:
    """Far and near attention with the map permuted before, between and after."""
    contexts = [_interlaced(stage, x) for stage in layer.stages]
    if layer.fusion is None:
        return contexts[0]
    beside = x if layer.widen is None else layer.widen(x)
    return layer.dropout(layer.fusion(torch.cat([beside, *contexts], 1)))


def ocr(layer: Any, x: Tensor, guide: Tensor) -> Tensor:
    """Pixels see regions; what they see is widened on the map and set beside it."""
    regions = (layer.scale * guide.flatten(2)).softmax(-1)
    regions = torch.matmul(regions, x.flatten(2).mT).mT[..., None]
    part = layer.attention
    pooled = F.max_pool2d(x, part.pool) if part.pool > 1 else x
    context = part.expand(_seen(part.query(pooled), part.keys(regions), part.value(regions)))
    if part.pool > 1:
        context = F.interpolate(context, size=x.shape[2:], mode="bilinear", align_corners=True)
    return layer.dropout(layer.fusion(torch.cat([context, x], 1)))


def _seen(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.matmul(query.flatten(2).mT, key.flatten(2)) * key.shape[1] ** -0.5
    seen = torch.matmul(weights.softmax(-1), value.flatten(2).mT)
    return seen.mT.contiguous().view(len(query), -1, *query.shape[2:])


def _interlaced(stage: Any, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    rows, columns = stage.cell
    down, across = -(-h // rows), -(-w // columns)
    below, beside = down * rows - h, across * columns - w
    top, left = below // 2, beside // 2
    y = F.pad(x, (left, beside - left, top, below - top))
    y = y.view(b, -1, down, rows, across, columns).permute(0, 3, 5, 1, 2, 4)
    y = self_attention(stage.far, y.reshape(b * rows * columns, -1, down, across))
    y = y.view(b, rows, columns, -1, down, across).permute(0, 4, 5, 3, 1, 2)
    y = self_attention(stage.near, y.reshape(b * down * across, -1, rows, columns))
    y = y.view(b, down, across, -1, rows, columns).permute(0, 3, 1, 4, 2, 5)
    y = y.reshape(b, -1, down * rows, across * columns)
    return y[:, :, top : top + h, left : left + w]


FORMS: Forms = {"self_attention": self_attention, "isa": isa, "ocr": ocr}
