"""Which form of the gate is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.joint_gate.lean import JointGate
from pixelwise.ops.joint_gate.plain import reference
from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision


def joint_gate(
    x: Float[Tensor, "b c n"],
    channel: Float[Tensor, "b c"],
    spatial: Float[Tensor, "b n"],
    *,
    product: bool,
) -> Float[Tensor, "b c n"]:
    """Gate `x`; the others come in the type of statistics. The result has the type of `x`."""
    with full_precision(x):
        chosen = choice.form("joint_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, channel, spatial, product=product)
        apply = kernels.either(chosen, "joint_gate", JointGate.apply)
        return apply(x, channel, spatial, product)
