"""Plain forms of the layers that gate channels and pixels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms, pointwise
from pixelwise.layers.squeeze_excitation import ACTIVATIONS, GATES


def channel_from_spatial(layer: Any, x: Tensor) -> Tensor:
    """A gate for every pixel, and what it lets through as a gate for every channel."""
    pooled = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1)
    weights = layer.score(pooled).sigmoid()
    return (x * weights).sum((2, 3), keepdim=True) * x


def spatial_from_channel(layer: Any, x: Tensor) -> Tensor:
    """A gate for every channel, and what it lets through as a gate for every pixel."""
    hidden = pointwise(F.adaptive_avg_pool2d(x, 1), layer.reduce).relu()
    return (x * pointwise(hidden, layer.expand)).sum(1, keepdim=True) * x


def se(layer: Any, x: Tensor) -> Tensor:
    """Squeeze by a mean, excite by two 1x1 convolutions."""
    squeezed = F.adaptive_avg_pool2d(x, 1)
    if layer.add_max:
        squeezed = 0.5 * squeezed + 0.5 * F.adaptive_max_pool2d(x, 1)
    hidden = pointwise(squeezed, layer.reduce)
    if layer.norm is not None:
        hidden = layer.norm(hidden.flatten(1))[:, :, None, None]
    hidden = ACTIVATIONS[layer.activation](hidden)
    return x * GATES[layer.gate](pointwise(hidden, layer.expand))


def eca(layer: Any, x: Tensor) -> Tensor:
    """A convolution along the channels' means; the gate is spread over the map."""
    mean = F.adaptive_avg_pool2d(x, 1)[..., 0].mT
    return x * layer.score(mean).mT[..., None].sigmoid().expand_as(x)


def scse(layer: Any, x: Tensor) -> Tensor:
    """The map gated by channel, the map gated by pixel, and both together."""
    hidden = pointwise(F.adaptive_avg_pool2d(x, 1), layer.reduce).relu()
    channel = x * pointwise(hidden, layer.expand).sigmoid()
    spatial = x * pointwise(x, layer.score).sigmoid()
    return channel + spatial if layer.fusion == "add" else torch.maximum(channel, spatial)


def cbam(layer: Any, x: Tensor) -> Tensor:
    """Pools as wide as the map, the linear maps once for each, gates spread over the map."""
    size = x.shape[2:]
    by_name: dict[str, Any] = {"avg": F.avg_pool2d, "max": F.max_pool2d}
    pools = [by_name[name](x, size, stride=size).flatten(1) for name in layer.pools]
    total = torch.stack([layer.expand(layer.reduce(pool).relu()) for pool in pools]).sum(0)
    x = x * total.sigmoid()[:, :, None, None].expand_as(x)
    if layer.score is None:
        return x
    pooled = torch.cat([x.max(1)[0][:, None], x.mean(1)[:, None]], 1)
    return x * layer.norm(layer.score(pooled)).sigmoid()


def bam(layer: Any, x: Tensor) -> Tensor:
    """Both branches spread over the map before they meet."""
    side = x.shape[2] if layer.square_window else x.shape[3]
    mean = F.avg_pool2d(x[..., :side], (x.shape[2], side)).flatten(1)
    channel = layer.expand(layer.norm(layer.reduce(mean)).relu())[:, :, None, None].expand_as(x)
    z = layer.narrow(x)
    for part, norm in zip(layer.dilated, layer.norms, strict=True):
        z = norm(part(z)).relu()
    spatial = layer.score(z).expand_as(x)
    both = channel * spatial if layer.variant == "code" else channel + spatial
    return x * (1 + both.sigmoid())


def gate(layer: Any, x: Tensor, guide: Tensor) -> Tensor:
    """The map is gated before the transform, the score resized as it is."""
    features = layer.reduce(x)
    wanted = F.interpolate(layer.reduce_guide(guide), features.shape[2:], mode="bilinear")
    score = layer.score(F.relu(features + wanted, inplace=True)).sigmoid()
    weights = F.interpolate(score, x.shape[2:], mode="bilinear")
    return layer.transform(weights.expand_as(x) * x)


FORMS: Forms = {
    "channel_from_spatial": channel_from_spatial,
    "spatial_from_channel": spatial_from_channel,
    "se": se,
    "eca": eca,
    "scse": scse,
    "cbam": cbam,
    "bam": bam,
    "gate": gate,
}
