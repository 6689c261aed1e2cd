"""Plain textbook forms of the layers that summarise an image, on the layers' own parameters."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.base import Layer
from pixelwise.ops.skewed_mask import expand_mask


def plain_ema(layer: Layer, x: Tensor) -> Tensor:
    project, mean = layer.project, layer.bases.expand(len(x), -1, -1)
    with torch.set_grad_enabled(layer.gradient and torch.is_grad_enabled()):
        value = F.conv2d(x, project.weight[:, :, None, None], project.bias).flatten(2)
        for _ in range(layer.steps):
            weights = torch.bmm(value.mT, mean).softmax(2)
            shares = weights / (1e-6 + weights.sum(1, keepdim=True))
            mean = torch.bmm(value, shares)
            mean = mean / (1e-6 + mean.norm(dim=1, keepdim=True))
        rebuilt = torch.bmm(mean, weights.mT).relu().view_as(x)
    return (layer.expand(rebuilt) + x).relu()


def plain_encoding(layer: Layer, x: Tensor) -> Tensor:
    codewords, scale = layer.dictionary.codewords, layer.dictionary.scale
    pixels = layer.project(x).flatten(2).mT
    apart = pixels[:, :, None] - codewords
    weights = (scale * apart.square().sum(3)).softmax(2)
    residuals = (weights[..., None] * apart).sum(1)
    code = layer.norm(residuals).relu().mean(1)
    gate = layer.expand(code).sigmoid()[:, :, None, None]
    return (x + x * gate).relu()


def plain_psanet(layer: Layer, x: Tensor) -> Tensor:
    size = [(side - 1) // layer.shrink + 1 for side in x.shape[2:]]
    seen = []
    for part in layer.branches:
        value = F.interpolate(part.reduce(x), size, mode="bilinear", align_corners=True)
        mask = F.conv2d(part.guide(value), part.mask.weight[:, :, None, None])
        weights = expand_mask(mask, part.mask_size, part.collect).softmax(1)
        seen.append(torch.bmm(value.flatten(2), weights) / layer.divisor)
    y = layer.project(torch.cat(seen, 1).unflatten(2, size))
    return F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True)


PLAIN: dict[str, Callable[..., Tensor]] = {
    "ema": plain_ema,
    "encoding": plain_encoding,
    "psanet": plain_psanet,
}
