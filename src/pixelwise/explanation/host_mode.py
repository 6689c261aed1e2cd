"""What a host computes while it runs, seen from beside: every call of a torch function.

The functions that matter are told from each other here: attention, softmax, products. A tensor that
came from a softmax keeps a mark through whatever leaves its weights one by one (casts, masks,
dropout, reshaping), so that the product with the values is found, in whatever way it is written.
What runs inside a layer of this library belongs to that layer and is not looked at.
"""

import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from pixelwise.explanation.host_forms import Attention, einsum, fused, product
from pixelwise.layers.base import AttentionLayer, FusionLayer

Form = Callable[[Tensor], Attention | None]
SOFTMAX = {F.softmax, torch.softmax, Tensor.softmax, torch.special.softmax}
PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.einsum}
ADDED = {torch.baddbmm, Tensor.baddbmm}
PICKS = {"__getitem__", "narrow", "select", "index_select", "split", "chunk", "unbind"}


class Over(Exception):
    """All that is wanted of a forward pass has been seen."""


class Mark:
    """Where a tensor's numbers come from: a product, and whether a softmax came after it."""

    def __init__(self, number: int | None, weighs: bool) -> None:
        self.number, self.weighs = number, weighs


class HostMode(TorchFunctionMode):
    """Follows a network's forward pass; subclasses say what is done with what is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []
        self.own = 0
        self.number = 0
        self.attentions = 0
        self.source: int | None = None
        """Number of the product that is the logits of the attention at hand, if one is."""
        self.marks: Any = WeakTensorKeyDictionary()

    # what subclasses do

    def attend(self, func: Any, args: Any, options: dict[str, Any], form: Form) -> Any:
        """An attention; `form` says of its result what it is."""
        return func(*args, **options)

    def multiply(
        self, number: int, func: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """A product that is no attention; may be the logits of one."""
        return func(*args, **options)

    def soften(self, source: int | None, func: Any, args: Any, options: dict[str, Any]) -> Any:
        """A softmax, of what the product `source` gave."""
        return func(*args, **options)

    def other(self, func: Any, args: Any, options: dict[str, Any]) -> Any:
        """Any other function."""
        return func(*args, **options)

    def enter_own(self, layer: nn.Module, args: Any, options: Any) -> Any:
        """A layer of this library is called; may change its arguments."""

    def leave_own(self, layer: nn.Module, output: Any) -> Any:
        """It returns; may change its output."""

    # how it is seen

    def __torch_function__(
        self, func: Any, types_: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is F.multi_head_attention_forward:
            with self:  # its inside is looked at, too
                return _body(func)(*args, **options)
        if func is F.scaled_dot_product_attention:
            self.attentions += 1
            self.source = None
            return self.attend(func, args, options, lambda out: fused(args, options, out))
        if func in SOFTMAX:
            given = args[0] if args else options["input"]
            mark = self.marks.get(given)
            number = None if mark is None or mark.weighs else mark.number
            out = self.soften(number, func, args, options)
            self.marks[out] = Mark(number, True)
            return out
        if func in PRODUCTS or func in ADDED:
            return self._product(func, args, options)
        out = self.other(func, args, options)
        if len(self.marks):
            self._hand_on(func, args, options, out)
        return out

    def _product(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        pair, build = _factors(func, args, options)
        self.number += 1
        number = self.number
        weighs = [
            i for i, x in enumerate(pair) if (mark := self.marks.get(x)) is not None and mark.weighs
        ]
        if len(weighs) == 1 and build is not None:
            self.attentions += 1
            self.source = self.marks[pair[weighs[0]]].number
            return self.attend(func, args, options, lambda out: build(out, weighs[0]))
        out = self.multiply(number, func, args, options)
        if len(pair) == 2 and not any(isinstance(x, nn.Parameter) for x in pair):
            self.marks[out] = Mark(number, False)
        return out

    def _hand_on(self, func: Any, args: Any, options: dict[str, Any], out: Any) -> None:
        marked = [x for x in _tensors([*args, *options.values()]) if x in self.marks]
        if not marked:
            return
        picks = getattr(func, "__name__", "") in PICKS
        for result in _tensors([out]):
            for x in marked:
                if result is not x and (result.numel() == x.numel() or picks):
                    self.marks[result] = self.marks[x]

    @contextmanager
    def over(self, model: nn.Module) -> Iterator[None]:
        """Look at what `model` does while the block runs."""
        with ExitStack() as stack:
            own = [m for m in model.modules() if isinstance(m, AttentionLayer | FusionLayer)]
            parts = {part for layer in own for part in layer.modules() if part is not layer}
            for name, module in model.named_modules():
                if module in parts:  # with hooks on its parts a layer would take its plain form
                    continue
                first = module.register_forward_pre_hook(self._before(name), with_kwargs=True)
                stack.callback(first.remove)
                last = module.register_forward_hook(self._after, always_call=True)
                stack.callback(last.remove)
            stack.enter_context(self)
            yield

    def _before(self, name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def before(module: nn.Module, args: Any, options: Any) -> Any:
            self.stack.append((name or type(module).__name__, module))
            if not isinstance(module, AttentionLayer | FusionLayer):
                return None
            self.own += 1
            if self.own > 1:
                return None
            changed = self.enter_own(module, args, options)
            leave: Any = self.__exit__
            leave(None, None, None)  # layers run as if nobody looked
            return changed

        return before

    def _after(self, module: nn.Module, _: Any, output: Any) -> Any:
        while self.stack and self.stack.pop()[1] is not module:
            pass
        if not isinstance(module, AttentionLayer | FusionLayer):
            return None
        self.own -= 1
        if self.own:
            return None
        enter: Any = self.__enter__
        enter()
        return self.leave_own(module, output)


def _factors(
    func: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Sequence[Tensor], Callable[[Tensor, int], Attention | None] | None]:
    """The two factors of a product, and how an attention is made of it."""
    if func in ADDED:
        both = [*args[1:3], *(options[x] for x in ("batch1", "batch2") if x in options)]
        return both, None
    if func is torch.einsum:
        operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
        if len(operands) != 2 or not isinstance(args[0], str):
            return [x for x in operands if isinstance(x, Tensor)], None
        first, second = operands
        return operands, lambda out, weighs: einsum(args[0], first, second, out, weighs)
    pair = [*args, *(options[x] for x in ("input", "other", "mat2") if x in options)]
    if len(pair) < 2 or not all(isinstance(x, Tensor) for x in pair[:2]):
        return [], None
    return pair[:2], lambda out, weighs: product(pair[0], pair[1], out, weighs)


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [x for x in value if isinstance(x, Tensor)]
    return found


def _body(func: Any) -> Callable[..., Any]:
    """The same code, which does not ask again whether somebody looks at it."""
    own = {**func.__globals__, "has_torch_function": lambda *_: False}
    found = types.FunctionType(
        func.__code__, own, func.__name__, func.__defaults__, func.__closure__
    )
    found.__kwdefaults__ = func.__kwdefaults__
    return found
