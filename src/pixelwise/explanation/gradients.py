"""Gradients of networks that nobody here has seen: there are some, or one line says why not."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from pixelwise.errors import InputError, in_one_line
from pixelwise.shortage import is_shortage

NONE = (
    "no gradient reaches the picture (rounding, argmax, integer types and torch.no_grad have none)"
)


class NoGradient(InputError):
    """What was to be shown needs a gradient that the network does not have.

    Args:
        what: What was to be shown.
        why: The reason.
    """

    def __init__(self, what: str, why: str) -> None:
        self.note = f"No {what}: {why}."
        super().__init__(
            f"{what}: {why}; leave it out, an occlusion map and the deletion check need no gradient"
        )


@contextmanager
def gradients_of(what: str) -> Iterator[None]:
    """Turn what autograd refuses while the block runs into a `NoGradient`, lack of memory aside."""
    try:
        yield
    except RuntimeError as error:
        if is_shortage(error):
            raise
        told = in_one_line(error, 160).rstrip(".")
        if "does not require grad" in told:
            raise NoGradient(what, NONE) from error
        raise NoGradient(what, f"the network cannot be differentiated ({told})") from error


def check_gradient(what: str, gradient: Tensor, dtype: object) -> None:
    """Refuse a gradient, or its squares, that is nowhere or not finite.

    Raises:
        NoGradient: It is.
    """
    if not gradient.isfinite().all():
        raise NoGradient(
            what, f"its gradient is not finite in {dtype}; model.float() may have one that is"
        )
    if not gradient.any():
        raise NoGradient(what, NONE)
