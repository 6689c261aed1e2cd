"""Which form of the convolution is taken.

On a GPU it is torchvision's operator, on a CPU the lean form. A traced graph holds the plain form:
sampling a grid would be one operator for each tap, but it rounds places, and at a whole pixel,
where offsets start, it then takes the gradient from the other side.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pixelwise.ops.deformable.lean import Deformed
from pixelwise.ops.deformable.plain import Pair, Places, reference
from pixelwise.ops.running import choice
from pixelwise.ops.running.backward import with_plain_gradients
from pixelwise.ops.running.precision import full_precision, statistics_dtype


def deformable_convolution(
    x: Float[Tensor, "b c h w"],
    offset: Float[Tensor, "b d i j"],
    weight: Float[Tensor, "o e k l"],
    bias: Float[Tensor, " o"] | None = None,
    mask: Float[Tensor, "b f i j"] | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Float[Tensor, "b o i j"]:
    """Convolve at the offsets; half types are computed in float32, in which positions are exact."""
    places = Places(stride, padding, dilation)
    with full_precision(x):
        kind = statistics_dtype(x)
        given = [None if z is None else z.to(kind) for z in (x, offset, weight, bias, mask)]
        found: Tensor = _FORMS[choice.form("deformable", x)](*given, places)
        return found.to(x.dtype)


def operator() -> Callable[..., Tensor]:
    """The operator of torchvision, which is loaded when it is first asked for."""
    operation: Callable[..., Tensor] = importlib.import_module("torchvision.ops").deform_conv2d
    return operation


def _by_operator(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    places: Places,
) -> Tensor:
    def convolve(*given: Tensor | None) -> Tensor:
        *others, mask = given
        return operator()(*others, mask=mask, **places._asdict())

    plain = functools.partial(reference, places=places)
    return with_plain_gradients(convolve, plain, x, offset, weight, bias, mask)


_FORMS: Mapping[str, Callable[..., Any]] = {
    "plain": reference,
    "traced": reference,
    "lean": Deformed.apply,
    "operator": _by_operator,
}
