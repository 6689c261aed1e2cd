"""Which form of an operation is taken: every such rule stands here, with what it was measured by.

    plain     the reference as it is written, differentiated by autograd
    traced    what goes into a compiled, exported or traced graph
    lean      a forward and a backward of its own, in blocks (see `blocks` for their sizes)
    fused     torch's own fused attention
    operator  an operator of torchvision or torch
    kernel    Triton, on CUDA (see `kernels`)
    authors   what costs as much as released code, where that costs less than `plain`: no rule takes
              it, `pixelwise bench --against authors-form` does

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
    if traced():
        return "traced"
    found = _forced.get().get(operation) or RULES[operation](x, x if key is None else key)
    if found != "kernel":  # which may yet fail: `kernels.either` says
        taken.note(operation, found, x)
    return found


def traced() -> bool:
    """Whether a graph is compiled, exported or traced, whose sizes may be free."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def forced_form(operation: str) -> str | None:
    """The form that `forced` names for `operation` here, if any."""
    return None if torch.compiler.is_compiling() else _forced.get().get(operation)


def anything_forced() -> bool:
    """Whether `forced` names a form of any operation here."""
    return bool(_forced.get())


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


def _products_on_cuda(x: Tensor, key: Tensor) -> str:
    """Kernels with products, where matrix units multiply the type; else cuBLAS is quicker.

    NVIDIA's multiply half types from compute capability 8.0 on, and float32 not as it is; those of
    AMD's cards for computing centres, MI100 to MI350, do.
    """
    return "kernel" if kernels.multiplies(x) else "lean"


def _float32_products_on_cuda(x: Tensor, key: Tensor) -> str:
    """The same where all is multiplied in float32, whatever type x has."""
    return "kernel" if kernels.multiplies(x, torch.float32) else "lean"


def _attention(value: Tensor, key: Tensor) -> str:
    """By the widths.

    A GPU has a fused kernel for all types but float64. Of these the quickest, for half types, takes
    equal widths up to 256; where key and value differ, zeros that make them equal cost as much as
    channels do, so our kernel for unequal widths is taken where matrix units multiply the type. In
    float32 the fused kernel takes unequal widths too: see `attention.fused`. That for CPUs takes
    equal widths only. For a key of an eighth of the value's width zeros nearly double the products:
    then blocks, at the true widths, are cheaper (pam, 64 and 512 wide at 64x128: 505 ms forward in
    blocks, 785 fused). With equal widths the kernel is, since blocks write their scores to memory
    and read them again (256 wide: 530 ms in blocks, 453 fused).
    """
    equal = key.shape[1] == value.shape[1]
    if value.is_cuda:
        if value.dtype == torch.float64:
            return "lean"
        return "fused" if equal or _products_on_cuda(value, key) == "lean" else "kernel"
    return "fused" if value.device.type == "cpu" and equal else "lean"


def _self_similarity(x: Tensor, key: Tensor) -> str:
    """Symmetric logits on a CPU, with a third less to multiply; else whatever attention takes."""
    return "lean" if x.device.type == "cpu" else "attention"


def _float32_on_cpu(x: Tensor, key: Tensor) -> str:
    """The type for which channels last make torch's depthwise convolutions on CPUs quick."""
    quick = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return "lean" if x.device.type == "cpu" and quick else "plain"


def _deformable(x: Tensor, key: Tensor) -> str:
    """Torchvision's operator on CUDA; on a CPU it takes several times as long, backward most.

    On other devices it may be missing.
    """
    return "operator" if x.is_cuda or x.is_meta else "lean"


def _grid_sample(x: Tensor, key: Tensor) -> str:
    """Torch's operator, whose backward Apple's devices may lack."""
    return "plain" if x.device.type == "mps" else "operator"


RULES: Mapping[str, Rule] = {
    "attention": _attention,
    "axis_attention": _lean,
    "axis_gate": _kernel_on_cuda,
    "axis_means": _lean_with_gradients,
    "biased_attention": _lean,
    "binned_mean": _plain,
    "channel_attention": _lean,
    "channel_pools": _lean,
    "deformable": _deformable,
    "depthwise": _float32_on_cpu,
    "encoding": _lean,
    "factor_gate": _lean_with_gradients,
    "joint_gate": _kernel_on_cuda,
    "local_attention": _products_on_cuda,
    "outlier_gate": _lean,
    "neighbour_attention": _lean,
    "pixel_mean": _lean_with_gradients,
    "pixel_pools": _lean,
    "point_reading": _grid_sample,
    "polarized_gate": _kernel_on_cuda,
    "pooling": _kernel_on_cuda,
    "reassembly": _lean,
    "self_gate": _lean,
    "self_similarity": _self_similarity,
    "selective_scan": _kernel_on_cuda,
    "skewed_mask": _products_on_cuda,
    "sorted_pairs": _lean,
    "space_to_depth": _plain,
    "streamed_projection": _float32_products_on_cuda,
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
    "biased_attention": (*_OWN, "traced"),
    "binned_mean": ("plain", "traced"),
    "channel_attention": _OWN,
    "channel_pools": _OWN,
    "deformable": (*_OWN, "traced", "operator"),
    "depthwise": _OWN,
    "encoding": (*_OWN, "traced", "authors"),
    "factor_gate": _OWN,
    "joint_gate": _WITH_KERNEL,
    "layer": _OWN,
    "local_attention": (*_WITH_KERNEL, "traced"),
    "outlier_gate": _OWN,
    "neighbour_attention": (*_OWN, "traced"),
    "pixel_mean": _OWN,
    "pixel_pools": _OWN,
    "point_reading": ("plain", "traced", "operator"),
    "polarized_gate": _WITH_KERNEL,
    "pooling": _WITH_KERNEL,
    "reassembly": (*_OWN, "traced"),
    "self_gate": _OWN,
    "self_similarity": (*_OWN, "attention"),
    "selective_scan": (*_WITH_KERNEL, "traced"),
    "skewed_mask": _WITH_KERNEL,
    "sorted_pairs": (*_OWN, "traced"),
    "space_to_depth": ("plain", "traced"),
    "streamed_projection": _WITH_KERNEL,
    "weighted_sum": _OWN,
}
"""Operation -> the forms that `forced` takes for it."""
