"""A batch norm that uses its running statistics: one factor and one summand per channel."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pixelwise.ops.running.precision import statistics_dtype

Affine = tuple[Float[Tensor, " c"], Float[Tensor, " c"]]


def is_fixed(norm: nn.Module) -> bool:
    """Whether `norm` is a batch norm that uses its running statistics."""
    return isinstance(norm, _BatchNorm) and not norm.training and norm.running_mean is not None


def fixed_affine(norm: nn.Module) -> Affine:
    """The factor and the summand of a fixed norm, in the type of statistics."""
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    kind = statistics_dtype(norm.weight)
    scale = norm.weight.to(kind) * (norm.running_var.to(kind) + norm.eps).rsqrt()
    return scale, norm.bias.to(kind) - norm.running_mean.to(kind) * scale


def innermost_norm(part: nn.Module) -> _BatchNorm:
    """The batch norm itself, also where somebody put a wrapper around it."""
    return next(module for module in part.modules() if isinstance(module, _BatchNorm))
