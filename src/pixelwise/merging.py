"""A convolution and the batch norm behind it as one convolution.

With running statistics m and v, and a convolution, or linear map, of weight W and bias b before it,
a norm of scale w and shift t is

    s = w / sqrt(v + eps)                                   one factor per channel
    s (W * x + b - m) + t = (s W) * x + s (b - m) + t       again a convolution
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Pair = tuple[str, str]
"""The names of a convolution and of the norm that follows it."""
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


def is_norm(module: nn.Module) -> bool:
    """Whether it has running statistics, by name: libraries have batch norms of their own."""
    statistics = (getattr(module, "running_mean", None), getattr(module, "running_var", None))
    return all(isinstance(s, Tensor) for s in statistics) and hasattr(module, "eps")


def merged(convolution: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """The weight and the bias that do what both did, computed in float64."""
    mean, variance, weight = map(exact, (norm.running_mean, norm.running_var, convolution.weight))
    scale = (variance + norm.eps).rsqrt()
    if getattr(norm, "weight", None) is not None:
        scale = scale * exact(norm.weight)
    bias = -mean if convolution.bias is None else exact(convolution.bias) - mean
    bias = bias * scale
    if getattr(norm, "bias", None) is not None:
        bias = bias + exact(norm.bias)
    if isinstance(convolution, TRANSPOSED):  # inputs first, and outputs counted within a group
        grouped = weight.reshape(convolution.groups, -1, *weight.shape[1:])
        within = scale.view(convolution.groups, 1, -1, *[1] * (weight.ndim - 2))
        weight = (grouped * within).flatten(0, 1)
    else:
        weight = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    old = convolution.weight.detach()
    return torch.empty_like(old).copy_(weight), bias.to(old.device, old.dtype)


def fits(model: nn.Module, first: str, second: str) -> bool:
    """Whether the widths agree, and the merged weights lie within the range of their type."""
    convolution, norm = model.get_submodule(first), model.get_submodule(second)
    linear = isinstance(convolution, nn.Linear)
    width = convolution.out_features if linear else convolution.out_channels
    assert isinstance(norm.running_mean, Tensor)
    return norm.running_mean.numel() == width and all(
        bool(values.isfinite().all()) for values in merged(convolution, norm)
    )


def merge(host: nn.Module, pairs: Sequence[Pair]) -> None:
    """Fold these pairs of a network, in place."""
    rests: dict[nn.Module, nn.Module] = {}
    for first, second in pairs:
        convolution: Any = host.get_submodule(first)
        norm, trained = host.get_submodule(second), convolution.weight.requires_grad
        weight, bias = merged(convolution, norm)
        convolution.weight = nn.Parameter(weight, requires_grad=trained)
        convolution.bias = nn.Parameter(bias, requires_grad=trained)
        parts = [(n, p) for n, p in norm.named_children() if not isinstance(p, nn.Identity)]
        rests[norm] = (nn.Sequential(OrderedDict(parts)) if parts else nn.Identity()).eval()
    for parent in list(host.modules()):
        for name, child in parent._modules.items():
            if child in rests:
                parent._modules[name] = rests[child]


def exact(value: Tensor) -> Tensor:
    """A tensor on the CPU, where every machine has float64; integers stay integers."""
    return value.detach().to("cpu", torch.float64 if value.is_floating_point() else value.dtype)
