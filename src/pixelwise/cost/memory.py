"""Time and memory of a callable: measured, and predicted without the memory."""

import logging
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pixelwise.errors import InputError

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


def predict(
    module: nn.Module,
    *shapes: Sequence[int],
    training: bool | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> int:
    """Bytes that `module` will need at most beyond its weights and its inputs, without using them.

    The module runs on tensors that have a shape and no memory, on a device that need not be there,
    in the very blocks that it would run in; what would be alive is added up. Not in it: what an
    operation needs inside itself, such as a library's buffers for one convolution.

    Args:
        module: A layer, or any module of one or more maps.
        shapes: Of each input, e.g. (1, 512, 64, 128).
        training: Whether to include backward, with gradients of inputs and parameters; by default
            as the module is now.
        dtype: Type of the inputs; by default that of the parameters.
        device: Where it would run, e.g. "cuda"; by default where the parameters are.

    Raises:
        InputError: No shape, or one that the module cannot take.

    Example:
        `predict(create_layer("pam", 512), (1, 512, 128, 256), training=True)`
    """
    if not shapes:
        raise InputError("shapes=(): must name a shape for each input; e.g. (1, 512, 64, 128)")
    weights = next(module.parameters(), torch.empty(0))
    device, dtype = torch.device(device or weights.device), dtype or weights.dtype
    before = {part: part.training for part in module.modules()}
    training = module.training if training is None else training
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    torchs = logging.getLogger("torch._subclasses.fake_tensor")
    was_silent, torchs.disabled = torchs.disabled, True  # it prints what is raised below
    try:
        module.train(training)
        with FakeTensorMode(allow_non_fake_inputs=True):
            state = {name: _without_memory(value, device) for name, value in named.items()}
            inputs = [torch.empty(tuple(shape), dtype=dtype, device=device) for shape in shapes]
            with _LiveBytes() as live, torch.set_grad_enabled(training):
                _run(module, state, inputs)
            return live.peak
    except RuntimeError as error:
        listed = ", ".join(str(tuple(shape)) for shape in shapes)
        told = str(error).splitlines()[0]
        raise InputError(
            f"shapes={listed}: not what {type(module).__name__} takes ({told}); give other shapes"
        ) from error
    finally:
        torchs.disabled = was_silent
        for part, was_training in before.items():
            part.training = was_training


def _without_memory(value: Tensor, device: torch.device) -> Tensor:
    return torch.empty_like(value, device=device).requires_grad_(value.requires_grad)


def _run(module: nn.Module, state: dict[str, Tensor], inputs: list[Tensor]) -> None:
    """Forward; where gradients are on, backward to all inputs and parameters as well."""
    for x in inputs:
        x.requires_grad_(torch.is_grad_enabled())
    outputs = [
        y for y in _tensors(functional_call(module, state, tuple(inputs))) if y.requires_grad
    ]
    if outputs:
        learnt = [value for value in state.values() if value.requires_grad]
        torch.autograd.grad(
            outputs, [*inputs, *learnt], [torch.empty_like(y) for y in outputs], allow_unused=True
        )


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
