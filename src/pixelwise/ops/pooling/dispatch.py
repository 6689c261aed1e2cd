"""Which form of the pools is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.pooling.lean import Pool
from pixelwise.ops.pooling.plain import reference
from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision

Pooled = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"]]
PooledTwice = tuple[Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b c"]]


def attention_pool(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> Pooled:
    """The map to go on with, and the softmax-weighted sum of its pixels.

    The sum is float32 for half types.
    """
    with full_precision(x):
        chosen = choice.form("pooling", x)
        if chosen in ("plain", "traced"):
            return x, reference(x, weight, bias)[0]
        apply = kernels.either(chosen, "pooling", Pool.apply)
        onward, context, _ = apply(x, weight, bias, False)
        return onward, context


def attention_and_mean_pool(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, " c"], bias: Float[Tensor, "1"] | None
) -> PooledTwice:
    """The map to go on with, the softmax-weighted sum of its pixels, and their mean.

    The sums are float32 for half types.
    """
    with full_precision(x):
        chosen = choice.form("pooling", x)
        if chosen in ("plain", "traced"):
            return x, *reference(x, weight, bias)
        apply = kernels.either(chosen, "pooling", Pool.apply)
        onward, context, mean = apply(x, weight, bias, True)
        return onward, context, mean
