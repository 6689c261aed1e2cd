"""Which form of the gate is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.axis_gate.lean import AxisGate
from pixelwise.ops.axis_gate.plain import reference
from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision


def axis_gate(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b c h"], columns: Float[Tensor, "b c w"]
) -> Float[Tensor, "b c h w"]:
    """Gate `x` by `rows` and `columns`, all of one type."""
    with full_precision(x):
        chosen = choice.form("axis_gate", x)
        if chosen in ("plain", "traced"):
            return reference(x, rows, columns)
        return kernels.either(chosen, "axis_gate", AxisGate.apply)(x, rows, columns)
