"""Plain forms of the layers that summarise an image, or spread masks over it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms, pointwise
from pixelwise.ops.skewed_mask import expand_mask


def ema(layer: Any, x: Tensor) -> Tensor:
    """The projected map is written, and read in every step; in training the bases move."""
    mean = layer.bases.clone().expand(len(x), -1, -1)
    with torch.set_grad_enabled(layer.gradient and torch.is_grad_enabled()):
        value = pointwise(x, layer.project).flatten(2)
        for _ in range(layer.steps):
            weights = torch.bmm(value.mT, mean).softmax(2)
            shares = weights / (1e-6 + weights.sum(1, keepdim=True))
            mean = torch.bmm(value, shares)
            mean = mean / (1e-6 + mean.norm(dim=1, keepdim=True))
        rebuilt = torch.bmm(mean, weights.mT).relu().view_as(x)
    if layer.training:
        with torch.no_grad():
            layer.bases.mul_(layer.momentum).add_(mean.mean(0), alpha=1 - layer.momentum)
    return (layer.expand(rebuilt) + x).relu()


def encoding(layer: Any, x: Tensor) -> Tensor:
    """The difference of every pixel from every codeword is written."""
    codewords, scale = layer.dictionary.codewords, layer.dictionary.scale
    pixels = layer.project(x).flatten(2).mT
    apart = pixels[:, :, None] - codewords
    weights = (scale * apart.square().sum(3)).softmax(2)
    residuals = (weights[..., None] * apart).sum(1)
    code = layer.norm(residuals).relu().mean(1)
    channel = layer.expand(code).sigmoid()[:, :, None, None]
    return (x + x * channel).relu()


def psanet(layer: Any, x: Tensor, *, corners: bool = True) -> Tensor:
    """Masks are spread over all pairs of pixels; always resized with the corners kept."""
    size = [(side - 1) // layer.shrink + 1 for side in x.shape[2:]]
    seen = []
    for part in layer.branches:
        value = F.interpolate(part.reduce(x), size, mode="bilinear", align_corners=True)
        mask = F.conv2d(part.guide(value), part.mask.weight[:, :, None, None])
        weights = expand_mask(mask, part.mask_size, part.collect).softmax(1)
        seen.append(torch.bmm(value.flatten(2), weights) / layer.divisor)
    y = layer.project(torch.cat(seen, 1).view(len(x), -1, *size))
    y = F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True)
    return torch.cat([x, y], 1) if layer.concatenate else y


FORMS: Forms = {"ema": ema, "encoding": encoding, "psanet": psanet}
