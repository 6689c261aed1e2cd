"""Plain forms of the layers that mix attention and convolution, or rearrange pixels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.benchmarks.plain.parts import Forms, pointwise


def _windows(z: Tensor, size: int, stride: int) -> Tensor:
    """Every window of a map, mirrored at the border: (b, channels, size^2, rows, columns)."""
    height, width = ((length + stride - 1) // stride for length in z.shape[2:])
    padded = F.pad(z, (size // 2,) * 4, mode="reflect")
    unfolded = F.unfold(padded, size, stride=stride)
    return unfolded.view(len(z), -1, size**2, height, width)


def _shifted(path: Any, parts: Tensor) -> Tensor:
    """Nine taps of all heads, each moved to its place: (b, 3 heads, d, h, w) -> (b, o, i, j)."""
    b, _, width, height, columns = parts.shape
    taps = pointwise(parts.flatten(2, 4)[:, :, None], path.taps)
    taps = taps.view(b, 9, width, height, columns).transpose(1, 2).flatten(1, 2)
    return F.conv2d(taps, path.shift.weight, stride=path.stride, padding=1, groups=width)


def acmix(layer: Any, x: Tensor) -> Tensor:
    """Windows of keys, of places and of values are written, every pixel of each."""
    heads, stride, (height, width) = layer.heads, layer.stride, x.shape[2:]
    parts = [pointwise(x, part) for part in (layer.query, layer.keys, layer.value)]
    columns = torch.linspace(-1, 1, width, dtype=x.dtype, device=x.device).expand(height, width)
    rows = torch.linspace(-1, 1, height, dtype=x.dtype, device=x.device)[:, None].expand_as(columns)
    weight = layer.position.weight[:, :, None, None]
    place = F.conv2d(torch.stack([columns, rows])[None], weight, layer.position_bias)
    query, key, value = (part.reshape(len(part) * heads, -1, height, width) for part in parts)
    query = query[:, :, ::stride, ::stride] * query.shape[1] ** -0.5
    around = _windows(place, layer.kernel_size, stride)
    moved = place[:, :, None, ::stride, ::stride] - around
    keys = _windows(key, layer.kernel_size, stride) + moved
    weights = (query[:, :, None] * keys).sum(1).softmax(1)
    seen = (weights[:, None] * _windows(value, layer.kernel_size, stride)).sum(2)
    seen = seen.view(len(x), -1, *seen.shape[2:])
    mixed = torch.cat([part.view(len(x), heads, -1, height, width) for part in parts], dim=1)
    mixed = _shifted(layer.convolution, mixed)
    return layer.attention_rate * seen + layer.convolution_rate * mixed


def acmix_window(layer: Any, x: Tensor) -> Tensor:
    """The map is brought into windows and back; the scores of all pairs of each are written."""
    (rows, columns), heads, shift = layer.windows.size, layer.heads, layer.windows.shift
    b, _, height, width = x.shape
    x = F.pad(x, (0, -width % columns, 0, -height % rows)).roll((-shift, -shift), (2, 3))
    projected = layer.project(x.permute(0, 2, 3, 1))
    n, m = x.shape[2] // rows, x.shape[3] // columns
    tiles = projected.view(b, n, rows, m, columns, 3, heads, -1)
    tiles = tiles.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, b, n * m, heads, rows * columns, -1)
    bias = layer.position[layer.offsets.flatten()].view(*layer.offsets.shape, heads)
    score = (tiles[0] * layer.scale) @ tiles[1].mT + bias.permute(2, 0, 1)
    if shift:
        score = score + layer.windows.apart(x)[:, None].to(score.dtype)
    seen = (score.softmax(-1) @ tiles[2]).view(b, n, m, heads, rows, columns, -1)
    seen = seen.permute(0, 1, 4, 2, 5, 3, 6).reshape(*x.shape[:1], *x.shape[2:], -1)
    seen = layer.expand(seen).permute(0, 3, 1, 2)
    parts = projected.permute(0, 3, 1, 2).unflatten(1, (3 * heads, -1))
    mixed = _shifted(layer.convolution, parts)
    y = layer.attention_rate * seen + layer.convolution_rate * mixed
    return y.roll((shift, shift), (2, 3))[:, :, :height, :width]


def deform(layer: Any, x: Tensor) -> Tensor:
    """The operator of torchvision, which is the authors' own."""
    from torchvision.ops import deform_conv2d

    offset, mask = layer.offset(x), None
    if layer.modulation:
        down, right, mask = offset.chunk(3, dim=1)
        offset, mask = torch.cat([down, right], dim=1), mask.sigmoid()
    geometry = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    return deform_conv2d(x, offset, layer.weight, layer.bias, mask=mask, **geometry)


def spd(layer: Any, x: Tensor) -> Tensor:
    """Four slices are set beside each other, then convolved."""
    f = layer.factor
    slices = [x[:, :, i::f, j::f] for j in range(f) for i in range(f)]
    return layer.activation(layer.norm(layer.conv(torch.cat(slices, dim=1))))


def _enlarged(z: Tensor, like: Tensor, mode: str = "bilinear") -> Tensor:
    corners = True if mode == "bilinear" else None
    return F.interpolate(z, size=like.shape[2:], mode=mode, align_corners=corners)


def fpa(layer: Any, x: Tensor) -> Tensor:
    """The pyramid with the operations of its figure."""
    context = layer.context(F.adaptive_avg_pool2d(x, 1))
    if not layer.pooled:
        first = layer.down[0](x)
        second = layer.down[1](first)
        p = layer.up[2](layer.across[2](layer.down[2](second)))
        p = layer.up[1]((layer.across[1](second) + p).relu())
        p = layer.up[0]((layer.across[0](first) + p).relu())
        return (layer.value(x) * p + context).relu()
    first = layer.down[0](F.max_pool2d(x, 2))
    second = layer.down[1](F.max_pool2d(first, 2))
    p = layer.across[2](layer.down[2](F.max_pool2d(second, 2)))
    p = layer.across[1](second) + _enlarged(p, second)
    p = layer.across[0](first) + _enlarged(p, first)
    return layer.value(x) * _enlarged(p, x) + _enlarged(context, x)


def gau(layer: Any, x: Tensor, guide: Tensor) -> Tensor:
    """The coarse map enlarged, the fine one gated."""
    gates = layer.gate(F.adaptive_avg_pool2d(guide, 1))
    if not layer.interpolated:
        return (layer.lift(guide) + layer.value(x) * gates).relu()
    return _enlarged(guide, x, layer.interpolation) + layer.value(x) * gates.sigmoid()


FORMS: Forms = {
    "acmix": acmix,
    "acmix_window": acmix_window,
    "deform": deform,
    "spd": spd,
    "fpa": fpa,
    "gau": gau,
}
