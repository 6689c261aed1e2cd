"""SyncBatchNorm: batch norms whose mean and variance are those of the whole batch.

With the values x of a channel in all pictures of all processes, n of them,

    m = sum x / n    v = sum (x - m)^2 / n    y = (x - m) / sqrt(v + eps) * weight + bias

In one process these are plain batch norms. Only the class of a norm changes, so that names of
weights stay; on any device, which torch.nn.SyncBatchNorm is not.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pixelwise.together import summed


def sync_norms(network: nn.Module) -> None:
    """Let all batch norms of a network, of whatever class, see the whole batch."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, _Synced):
            kind = type(module)
            module.__class__ = type(f"Synced{kind.__name__}", (_Synced, kind), {})


class _Synced(nn.Module):
    def forward(self, *inputs: Any) -> Any:
        with _WholeBatch():
            return super().forward(*inputs)


class _WholeBatch(TorchFunctionMode):
    """Takes the place of torch's batch norm in training."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is F.batch_norm:
            return _norm(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training or input.is_meta or not dist.is_initialized():
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    axes = [axis for axis in range(input.ndim) if axis != 1]
    shape = [1, -1] + [1] * (input.ndim - 2)
    wide = input.to(torch.promote_types(input.dtype, torch.float32))
    count = _sum(wide.new_tensor(float(input.numel() // input.shape[1])))
    mean = _sum(wide.sum(axes)) / count
    apart = wide - mean.view(shape)
    variance = _sum(apart.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            whole = variance * count / (count - 1).clamp(min=1)
            running_var.lerp_(whole.to(running_var), momentum)
    scale = torch.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    found = apart * scale.view(shape)
    if bias is not None:
        found = found + bias.view(shape)
    return found.to(input.dtype)


def _sum(part: Tensor) -> Tensor:
    return _Sum.apply(part)


class _Sum(torch.autograd.Function):
    """The sum over processes; each has its part of the gradient by it."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        return summed(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return summed(gradient.contiguous())
