"""Operations and parameters of a callable, counted without running it where possible.

Operations are multiplications and additions, each counted as one, as torch's FlopCounterMode
does. Beside its matrix products, convolutions and attention, counted here are

    mv, addmv, dot      products with a vector
    mul, sum, mean      gates and pooling, which are all that some layers do: one per element
    deform_conv2d       torchvision's, if torchvision is loaded

Norms, activations, softmaxes and copies are not counted.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Shape = Sequence[int]


def flops(function: Callable[..., object], *inputs: Tensor) -> int:
    """Operations of `function(*inputs)`; on the meta device nothing is computed or allocated.

    Example:
        `flops(model.to("meta"), torch.empty(1, 3, 512, 1024, device="meta"))`
    """
    with torch.no_grad(), counted() as counter:
        function(*inputs)
    return counter.get_total_flops()


@contextmanager
def counted() -> Iterator[FlopCounterMode]:
    """Count the operations of the block, all together.

    torch's own look at which module they belong to fails on modules that are given a view of a
    parameter, as pooling by attention has it, while no gradients are taken.
    """
    counter = FlopCounterMode(display=False, custom_mapping=operation_formulas())
    counter.mod_tracker = _Nowhere()  # type: ignore[assignment]
    with counter:
        yield counter


class _Nowhere:
    """In place of torch's tracker of modules."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def parameters(module: nn.Module) -> int:
    """Trainable and frozen parameters of `module`, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def _matrix_vector(matrix: Shape, vector: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _added_matrix_vector(start: Shape, matrix: Shape, vector: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _dot(left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(left)


def _per_result(*_: Any, out_shape: Shape, **__: Any) -> int:
    return math.prod(out_shape)


def _per_input(x: Shape, *_: Any, **__: Any) -> int:
    return math.prod(x)


def _deform_conv2d(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    per_group, rows, columns = weight[1:]
    samples = math.prod(out_shape) // out_shape[1] * rows * columns * x[1]
    bilinear = 8 * samples  # four corners, each weighed and added
    return bilinear + 2 * math.prod(out_shape) * per_group * rows * columns


def operation_formulas() -> dict[Any, Callable[..., int]]:
    """What a `FlopCounterMode` is to count beside what torch counts: operation -> its formula."""
    return dict(_pairs())


def _pairs() -> Iterator[tuple[Any, Callable[..., int]]]:
    aten = torch.ops.aten
    yield aten.mv, _matrix_vector
    yield aten.addmv, _added_matrix_vector
    yield aten.dot, _dot
    yield aten.mul, _per_result
    for reduction in (aten.sum, aten.mean):
        yield reduction, _per_input
    if "torchvision" in sys.modules:
        yield torch.ops.torchvision.deform_conv2d, _deform_conv2d
