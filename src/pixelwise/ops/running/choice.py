"""Which form of an operation is taken: every such rule stands here, with what it was measured by.

    plain     the reference as it is written, differentiated by autograd
    traced    what goes into a compiled, exported or traced graph
    lean      a forward and a backward of its own, in blocks (see `blocks` for their sizes)
    fused     torch's own fused attention
    operator  torchvision's operator
    kernel    Triton, on CUDA (see `kernels`)

All forms of an operation give the same numbers. `forced` takes one whatever the rules say: for
tests, for measurements, and for who knows their machine better.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

import torch
from torch import Tensor

from pixelwise.errors import InputError, unknown
from pixelwise.ops.running import kernels, taken

Rule = Callable[[Tensor, Tensor], str]

_forced: ContextVar[Mapping[str, str]] = ContextVar("forced", default=MappingProxyType({}))


def form(operation: str, x: Tensor, key: Tensor | None = None) -> str:
    """The form that `operation` takes on `x`; for attention, x is the value beside its key."""
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return "traced"
    found = _forced.get().get(operation) or RULES[operation](x, x if key is None else key)
    if found != "kernel":  # which may yet fail: `kernels.either` says
        taken.note(operation, found, x)
    return found


def forced_form(operation: str) -> str | None:
    """The form that `forced` names for `operation` here, if any."""
    return None if torch.compiler.is_compiling() else _forced.get().get(operation)


@contextmanager
def forced(**forms: str) -> Iterator[None]:
    """Within, each named operation takes the form given, e.g. `forced(attention="lean")`.

    `layer` stands for the layers themselves: `forced(layer="plain")` lets each run as it is written
    in its file, `forced(layer="lean")` takes the lean form even where a part has hooks.

    A backward pass takes the form of its forward pass, wherever it runs.

    Raises:
        InputError: There is no such operation, or it has no such form.
    """
    for operation, wanted in forms.items():
        if operation not in FORMS:
            raise unknown("operation", operation, FORMS)
        if wanted not in FORMS[operation]:
            listed = ", ".join(FORMS[operation])
            raise InputError(f"{operation}={wanted!r}: must be one of {listed}; use one of them")
    before = _forced.set({**_forced.get(), **forms})
    try:
        yield
    finally:
        _forced.reset(before)


def _lean(x: Tensor, key: Tensor) -> str:
    return "lean"


def _plain(x: Tensor, key: Tensor) -> str:
    return "plain"


def _lean_with_gradients(x: Tensor, key: Tensor) -> str:
    """Where backward alone gains; a function of its own costs some 0.05 ms forward."""
    return "lean" if torch.is_grad_enabled() else "plain"


def _kernel_on_cuda(x: Tensor, key: Tensor) -> str:
    """A pass over the map is bound by memory: one kernel in place of three to six.

    By reckoning: no kernel was timed on a GPU yet, and `forced` takes the lean form there.
    """
    return "kernel" if kernels.available(x) else "lean"


def _halves_on_cuda(x: Tensor, key: Tensor) -> str:
    """Kernels with products, where those run on tensor cores; else cuBLAS's are quicker.

    In float32 they never do; in half types they do from compute capability 8.0 on.
    """
    return "kernel" if kernels.multiplies(x) else "lean"


def _attention(value: Tensor, key: Tensor) -> str:
    """By the widths.

    A GPU has a fused kernel for all types but float64; where key and value differ in width zeros
    make them equal, and cost as much as channels do, so the kernel for unequal widths is taken
    for half types, whose products run on tensor cores. The fused kernel for CPUs takes equal widths
    only. For a key of an eighth of the value's width zeros nearly double the products: then blocks,
    at the true widths, are cheaper (pam, 64 and 512 wide at 64x128: 505 ms forward in blocks, 785
    fused). With equal widths the kernel is, since blocks write their scores to memory and read them
    again (256 wide: 530 ms in blocks, 453 fused).
    """
    equal = key.shape[1] == value.shape[1]
    if value.is_cuda:
        if value.dtype == torch.float64:
            return "lean"
        return "fused" if equal or _halves_on_cuda(value, key) == "lean" else "kernel"
    return "fused" if value.device.type == "cpu" and equal else "lean"


def _deformable(x: Tensor, key: Tensor) -> str:
    """Torchvision's operator on a GPU; on a CPU it takes several times as long, backward most."""
    return "lean" if x.device.type == "cpu" else "operator"


RULES: Mapping[str, Rule] = {
    "attention": _attention,
    "axis_attention": _lean,
    "axis_gate": _kernel_on_cuda,
    "axis_means": _lean,
    "binned_mean": _plain,
    "channel_attention": _lean,
    "channel_pools": _lean,
    "deformable": _deformable,
    "encoding": _lean,
    "factor_gate": _lean_with_gradients,
    "joint_gate": _kernel_on_cuda,
    "local_attention": _halves_on_cuda,
    "pixel_mean": _lean_with_gradients,
    "pixel_pools": _lean,
    "polarized_gate": _kernel_on_cuda,
    "pooling": _kernel_on_cuda,
    "skewed_mask": _halves_on_cuda,
    "sorted_pairs": _lean,
    "space_to_depth": _plain,
    "streamed_projection": _lean,
    "weighted_sum": _lean,
}
"""Operation -> what decides its form. The name is that of its module here; `pixel_mean` is the mean
alone of `pixel_pools`."""

_OWN = ("plain", "lean")
_WITH_KERNEL = (*_OWN, "kernel")

FORMS: Mapping[str, tuple[str, ...]] = {
    "attention": ("plain", "lean", "fused", "kernel"),
    "axis_attention": _OWN,
    "axis_gate": _WITH_KERNEL,
    "axis_means": _OWN,
    "binned_mean": ("plain", "traced"),
    "channel_attention": _OWN,
    "channel_pools": _OWN,
    "deformable": (*_OWN, "traced", "operator"),
    "encoding": (*_OWN, "traced"),
    "factor_gate": _OWN,
    "joint_gate": _WITH_KERNEL,
    "layer": _OWN,
    "local_attention": (*_WITH_KERNEL, "traced"),
    "pixel_mean": _OWN,
    "pixel_pools": _OWN,
    "polarized_gate": _WITH_KERNEL,
    "pooling": _WITH_KERNEL,
    "skewed_mask": _WITH_KERNEL,
    "sorted_pairs": (*_OWN, "traced"),
    "space_to_depth": ("plain", "traced"),
    "streamed_projection": _WITH_KERNEL,
    "weighted_sum": _OWN,
}
"""Operation -> the forms that `forced` takes for it."""
