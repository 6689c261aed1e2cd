"""Operations that a compiled graph holds as one call each, since traced they would be all pairs.

When the graph runs, the call takes whatever form is chosen then, a kernel or the lean one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Tensor]


def in_a_compiled_graph() -> bool:
    """Whether torch.compile traces this; an exported graph has to be of torch's operators alone."""
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def as_one_call(
    operation: str, function: Function, empty: Function, tensors: Sequence[str], options: str = ""
) -> Function:
    """`function` as an operator of torch, with a gradient.

    `function` takes the tensors named and then the options, written as in torch's schemas; `empty`
    takes the same, and makes a result without numbers. Backward runs the function once more, since
    what its forms keep differs.
    """
    count = len(tensors)
    listed = ", ".join([*(f"Tensor {name}" for name in tensors), *filter(None, [options])])

    def forward(*given: Any) -> Tensor:
        return function(*given).contiguous()

    def backward(grad: Tensor, wanted: Sequence[bool], *given: Any) -> list[Tensor]:
        with _recorded():
            pairs = zip(given[:count], wanted, strict=True)
            own = [z.detach().requires_grad_(wants) for z, wants in pairs]
            found = function(*own, *given[count:])
            sources = [z for z in own if z.requires_grad]
            return [z.contiguous() for z in torch.autograd.grad(found, sources, grad)]

    def empty_gradients(grad: Tensor, wanted: Sequence[bool], *given: Any) -> list[Tensor]:
        pairs = zip(given[:count], wanted, strict=True)
        return [z.new_empty(z.shape) for z, wants in pairs if wants]

    once: Any = torch.library.custom_op(
        f"pixelwise::{operation}", forward, mutates_args=(), schema=f"({listed}) -> Tensor"
    )
    again: Any = torch.library.custom_op(
        f"pixelwise::{operation}_backward",
        backward,
        mutates_args=(),
        schema=f"(Tensor grad, bool[] wanted, {listed}) -> Tensor[]",
    )
    once.register_fake(empty)
    again.register_fake(empty_gradients)

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:count])
        ctx.options = inputs[count:]

    def gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        wanted = list(ctx.needs_input_grad[:count])
        found = iter(again(grad, wanted, *ctx.saved_tensors, *ctx.options))
        return *(next(found) if wants else None for wants in wanted), *(None for _ in ctx.options)

    once.register_autograd(gradients, setup_context=keep)
    operator: Function = once
    return operator


_SWITCHED_OFF = (
    "AutogradCPU",
    "AutogradCUDA",
    "AutogradMPS",
    "AutogradXPU",
    "AutogradOther",
    "ADInplaceOrView",
)
"""The parts of torch's dispatcher that record gradients, which an operator is run without."""


@contextmanager
def _recorded() -> Iterator[None]:
    """Gradients recorded within an operator."""
    left_out = torch._C._dispatch_tls_local_exclude_set()
    for name in _SWITCHED_OFF:
        left_out = left_out.remove(getattr(torch._C.DispatchKey, name))
    included = torch._C._dispatch_tls_local_include_set()
    with torch._C._ForceDispatchKeyGuard(included, left_out), torch.enable_grad():
        yield
