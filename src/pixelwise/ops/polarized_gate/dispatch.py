"""Which form of the gate is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.polarized_gate.lean import PolarizedGate
from pixelwise.ops.polarized_gate.plain import reference
from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision


def polarized_gate(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    direction: Float[Tensor, "b c"] | None,
    offset: Float[Tensor, "b #n"] | None,
    *,
    product: bool,
    softmax: bool,
) -> Float[Tensor, "b c n"]:
    """Gate `x`; all but `x` come in the type of statistics. The result has the type of `x`."""
    with full_precision(x):
        chosen = choice.form("polarized_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, channel, direction, offset, product=product, softmax=softmax)
        apply = kernels.either(chosen, "polarized_gate", PolarizedGate.apply)
        return apply(x, channel, direction, offset, product, softmax)
