"""Plain textbook forms of the layers that gate channels and pixels."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.base import Layer


def conv(x: Tensor, part: torch.nn.Module) -> Tensor:
    """A 1x1 convolution with the matrix of a linear map."""
    return F.conv2d(x, part.weight.reshape(*part.weight.shape[:2], 1, 1), part.bias)


def mean_of_channels(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def plain_channel_from_spatial(layer: Layer, x: Tensor) -> Tensor:
    pooled = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)
    weights = layer.score(pooled).sigmoid()
    return (x * weights).sum((2, 3), keepdim=True) * x


def plain_spatial_from_channel(layer: Layer, x: Tensor) -> Tensor:
    gate = conv(conv(mean_of_channels(x), layer.reduce).relu(), layer.expand)
    return (x * gate).sum(1, keepdim=True) * x


def plain_se(layer: Layer, x: Tensor) -> Tensor:
    hidden = conv(mean_of_channels(x), layer.reduce).relu()
    return x * conv(hidden, layer.expand).sigmoid()


def plain_eca(layer: Layer, x: Tensor) -> Tensor:
    mean = mean_of_channels(x)[..., 0].mT
    gate = layer.score(mean).mT[..., None].sigmoid()
    return x * gate.expand_as(x)


def plain_scse(layer: Layer, x: Tensor) -> Tensor:
    channel = conv(conv(mean_of_channels(x), layer.reduce).relu(), layer.expand).sigmoid()
    return x * channel + x * conv(x, layer.score).sigmoid()


def plain_cbam(layer: Layer, x: Tensor) -> Tensor:
    size = x.shape[2:]
    pools = F.avg_pool2d(x, size, stride=size), F.max_pool2d(x, size, stride=size)
    total = sum(layer.expand(layer.reduce(pool.flatten(1)).relu()) for pool in pools)
    x = x * total.sigmoid()[:, :, None, None].expand_as(x)
    pooled = torch.cat([x.max(1)[0][:, None], x.mean(1)[:, None]], 1)
    return x * layer.norm(layer.score(pooled)).sigmoid()


def plain_bam(layer: Layer, x: Tensor) -> Tensor:
    mean = F.avg_pool2d(x, x.shape[2:]).flatten(1)
    channel = layer.expand(layer.norm(layer.reduce(mean)).relu())
    z = layer.narrow(x)
    for part, norm in zip(layer.dilated, layer.norms, strict=True):
        z = norm(part(z)).relu()
    spatial = layer.score(z).expand_as(x)
    return x * (1 + (channel[:, :, None, None].expand_as(x) * spatial).sigmoid())


def plain_gate(layer: Layer, x: Tensor, guide: Tensor) -> Tensor:
    features = layer.reduce(x)
    wanted = F.interpolate(layer.reduce_guide(guide), features.shape[2:], mode="bilinear")
    score = layer.score(F.relu(features + wanted, inplace=True)).sigmoid()
    weights = F.interpolate(score, x.shape[2:], mode="bilinear")
    return layer.transform(weights.expand_as(x) * x)


PLAIN: dict[str, Callable[..., Tensor]] = {
    "channel_from_spatial": plain_channel_from_spatial,
    "spatial_from_channel": plain_spatial_from_channel,
    "se": plain_se,
    "eca": plain_eca,
    "scse": plain_scse,
    "cbam": plain_cbam,
    "bam": plain_bam,
    "gate": plain_gate,
}
