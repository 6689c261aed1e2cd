"""What comes of a batch without images: results without images, of the right shape.

Forms and maps reshape with sizes that follow from the number of elements, and loop over images, so
none of them is asked to do nothing. One blank image stands in, and its results are dropped.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Result = TypeVar("Result")


def is_empty(x: Tensor) -> bool:
    """Whether there is no image in the batch; a traced program is made for those with some."""
    return not torch.compiler.is_exporting() and len(x) == 0


def without_images(
    module: nn.Module, run: Callable[..., Result], inputs: Sequence[Tensor]
) -> Result:
    """`run(*inputs)`, its results without images, with gradients of zero where there are any.

    Nothing is learnt from no image: parts are in eval mode, so that no buffer moves.
    """
    blank = [torch.cat([x, x.new_zeros(1, *x.shape[1:])]) for x in inputs]
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        return _dropped(run(*blank))
    finally:
        for part in training:
            part.training = True


def _dropped(found: Any) -> Any:
    if isinstance(found, Tensor):
        return found[:0]
    if isinstance(found, dict):
        return {name: _dropped(value) for name, value in found.items()}
    if isinstance(found, tuple):  # named tuples of tensors
        return type(found)(*map(_dropped, found))
    return found
