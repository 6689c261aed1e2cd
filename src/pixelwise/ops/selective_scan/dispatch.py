"""Which form of the scan is taken."""

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.running import choice, kernels
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.selective_scan.lean import SelectiveScan
from pixelwise.ops.selective_scan.plain import reference
from pixelwise.ops.selective_scan.traced import traced_scan


def selective_scan(
    x: Float[Tensor, "b s l e"],
    step: Float[Tensor, "b k l e"],
    rate: Float[Tensor, "k e n"],
    write: Float[Tensor, "b k l n"],
    read: Float[Tensor, "b k l n"],
    backwards: int = 0,
) -> Float[Tensor, "b s l e"]:
    """What all directions read; the last `backwards` of them start at the end of their sequence.

    All but `x` come in the type of statistics, as does the result. Steps are positive, rates
    negative.
    """
    with full_precision(x):
        chosen = choice.form("selective_scan", x)
        if chosen == "plain":
            return reference(x, step, rate, write, read, backwards)
        if chosen == "traced":
            return traced_scan(x, step, rate, write, read, backwards)
        apply = kernels.either(chosen, "selective_scan", SelectiveScan.apply)
        return apply(x, step, rate, write, read, backwards)
