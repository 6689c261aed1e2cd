"""Textbook forms of self-attention, interlaced sparse self-attention and object context.

The equations in the heads of the layers' files, as one would write them first: convolutions and
norms as modules, all pairs as a matrix, whole maps brought into groups, concatenations written.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.interlaced_sparse_self_attention import InterlacedSparseSelfAttention
from pixelwise.layers.object_context import ObjectContext
from pixelwise.layers.self_attention_block import SelfAttentionBlock


def plain_self_attention(layer: SelfAttentionBlock, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    if layer.pool > 1:
        x = F.max_pool2d(x, layer.pool)
    query, key = layer.query(x).flatten(2).mT, layer.keys(x).flatten(2)
    value = layer.value(x).flatten(2).mT
    weights = (torch.matmul(query, key) * key.shape[1] ** -0.5).softmax(-1)
    seen = torch.matmul(weights, value).mT.contiguous().view(len(x), -1, *x.shape[2:])
    y = layer.project(seen)
    if layer.pool > 1:
        y = F.interpolate(y, size=(height, width), mode="bilinear", align_corners=True)
    return y


def plain_isa(layer: InterlacedSparseSelfAttention, x: Tensor) -> Tensor:
    contexts = [interlaced(stage, x) for stage in layer.stages]
    if layer.fusion is None:
        return contexts[0]
    beside = x if layer.widen is None else layer.widen(x)
    return layer.dropout(layer.fusion(torch.cat([beside, *contexts], 1)))


def interlaced(stage: torch.nn.Module, x: Tensor) -> Tensor:
    b, _, h, w = x.shape
    rows, columns = stage.cell
    down, across = -(-h // rows), -(-w // columns)
    below, beside = down * rows - h, across * columns - w
    top, left = below // 2, beside // 2
    y = F.pad(x, (left, beside - left, top, below - top))
    y = y.view(b, -1, down, rows, across, columns).permute(0, 3, 5, 1, 2, 4)
    y = plain_self_attention(stage.far, y.reshape(b * rows * columns, -1, down, across))
    y = y.view(b, rows, columns, -1, down, across).permute(0, 4, 5, 3, 1, 2)
    y = plain_self_attention(stage.near, y.reshape(b * down * across, -1, rows, columns))
    y = y.view(b, down, across, -1, rows, columns).permute(0, 3, 1, 4, 2, 5)
    y = y.reshape(b, -1, down * rows, across * columns)
    return y[:, :, top : top + h, left : left + w]


def plain_ocr(layer: ObjectContext, x: Tensor, guide: Tensor) -> Tensor:
    regions = (layer.scale * guide.flatten(2)).softmax(-1)
    regions = torch.matmul(regions, x.flatten(2).mT).mT[..., None]
    part = layer.attention
    pooled = F.max_pool2d(x, part.pool) if part.pool > 1 else x
    query, key = part.query(pooled).flatten(2).mT, part.keys(regions).flatten(2)
    value = part.value(regions).flatten(2).mT
    weights = (torch.matmul(query, key) * key.shape[1] ** -0.5).softmax(-1)
    seen = torch.matmul(weights, value).mT.contiguous().view(len(x), -1, *pooled.shape[2:])
    context = part.expand(seen)
    if part.pool > 1:
        context = F.interpolate(context, size=x.shape[2:], mode="bilinear", align_corners=True)
    return layer.dropout(layer.fusion(torch.cat([context, x], 1)))


PLAIN: dict[str, Callable[..., Tensor]] = {
    "self_attention": plain_self_attention,
    "isa": plain_isa,
    "ocr": plain_ocr,
}
