"""What a callable costs: operations and parameters, counted without running it where possible.

Operations are multiplications and additions, each counted as one, as torch's FlopCounterMode
does. Beside its matrix products, convolutions and attention, counted here are

    mv, addmv, dot      products with a vector
    mul, sum, mean      gates and pooling, which are all that some layers do: one per element
    deform_conv2d       torchvision's, if torchvision is loaded

Norms, activations, softmaxes and copies are not counted.
"""

import math
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

Shape = Sequence[int]


def flops(function: Callable[..., object], *inputs: Tensor) -> int:
    """Operations of `function(*inputs)`; on the meta device nothing is computed or allocated.

    Example:
        `flops(model.to("meta"), torch.empty(1, 3, 512, 1024, device="meta"))`
    """
    with (
        torch.no_grad(),
        FlopCounterMode(display=False, custom_mapping=operation_formulas()) as counter,
    ):
        function(*inputs)
    return counter.get_total_flops()


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


Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """What a function gave, and what that took."""

    result: Result
    seconds: float
    peak_bytes: int
    """Memory that was in use at most, above what was in use before."""


def measured(
    function: Callable[[], Result], device: torch.device | str = "cpu"
) -> Measured[Result]:
    """Run `function` once, and measure its time and its memory for tensors.

    On CUDA the memory is what torch's allocator gave out; its peak is reset. Elsewhere it is the
    size of the live tensors that operations of this thread returned: the workspace inside an
    operation is not seen, and the time includes some 0.01 ms per operation for counting.
    """
    device = torch.device(device)
    if device.type != "cuda":
        with _LiveBytes() as live:
            start = time.perf_counter()
            result = function()
            return Measured(result, time.perf_counter() - start, live.peak)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    start = time.perf_counter()
    result = function()
    torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    return Measured(result, seconds, torch.cuda.max_memory_allocated(device) - before)


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the storages that operations make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {_storage(tensor)._cdata for tensor in _tensors((args, kwargs))}
        result = function(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = _storage(tensor)
            number = storage._cdata
            if number not in given and number not in self._alive:
                self._alive.add(number)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, number, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, number: int, size: int) -> None:
        self._alive.discard(number)
        self.now -= size


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()
