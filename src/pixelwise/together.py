"""A batch that several processes share: sums over the whole of it, each process holding a part.

Inside of `sharing_batches` every process computes the loss L of the whole batch from sums over all
parts. Backward gives each the gradient by its own part alone, so that the gradients of all
processes, added up, are the gradient of L. In one process nothing changes, to the last bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

_SHARING: ContextVar[bool] = ContextVar("sharing", default=False)


@contextmanager
def sharing_batches() -> Iterator[None]:
    """Losses inside are of the batch of all processes, which have to compute them alike."""
    token = _SHARING.set(dist.is_available() and dist.is_initialized())
    try:
        yield
    finally:
        _SHARING.reset(token)


def total(part: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The sum over processes of tensors of one shape."""
    return _Total.apply(part) if _SHARING.get() else part


def mean(part: Tensor) -> Tensor:
    """The mean of all elements of the batch."""
    if not _SHARING.get():
        return part.mean()
    return total(part.sum()) / total(part.new_tensor(float(part.numel())))


def summed(part: Tensor) -> Tensor:
    """The sum over processes, without a gradient."""
    found = part.detach().clone()
    dist.all_reduce(found)
    return found


def gathered(part: Shaped[Tensor, "n *any"]) -> Shaped[Tensor, "m *any"]:
    """The parts one behind the other along the first axis."""
    return _Gathered.apply(part) if _SHARING.get() else part


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        return summed(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        count = torch.tensor([len(part)], device=part.device)
        counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, count)
        lengths = [int(n) for n in counts]
        ctx.begun, ctx.count = sum(lengths[: dist.get_rank()]), len(part)
        bits = part.dtype == torch.bool
        padded = part.new_zeros(max(lengths), *part.shape[1:], dtype=torch.uint8 if bits else None)
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        whole = torch.cat([one[:n] for one, n in zip(parts, lengths, strict=True)])
        return whole.bool() if bits else whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.begun : ctx.begun + ctx.count]
