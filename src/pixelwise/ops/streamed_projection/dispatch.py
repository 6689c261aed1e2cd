"""Which form of the mixture is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.streamed_projection.lean import Projection
from pixelwise.ops.streamed_projection.plain import reference


def streamed_projection(
    x: Float[Tensor, "b c n"], weight: Float[Tensor, "b o c"], query: Float[Tensor, "b o"]
) -> Float[Tensor, "b n"]:
    """The mixture; `weight` and `query` come in the type of statistics, as does the result."""
    with full_precision(x):
        chosen = choice.form("streamed_projection", x)
        if chosen in ("plain", "traced"):
            return reference(x, weight, query)
        apply = kernels.either(chosen, "streamed_projection", Projection.apply)
        return apply(x, weight, query)
