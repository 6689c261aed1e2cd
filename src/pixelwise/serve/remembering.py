"""What a click computes for every pixel alike is computed once.

    memory = Memory([*layer.parameters(), *layer.buffers(), *inputs])
    with memory.click(): layer.maps(*inputs, at)

`maps(x, at)` projects all of x before it looks at the row of one pixel. Every tensor gets a number
that stands for how it came about: that of a parameter or an input is its own, that of a result is
made of the function and the numbers of its arguments. A product or a convolution of the same number
as at an earlier click is not computed again, but copied.

What was written into has another version than was noted, and gets a number of its own, or none:
then what depends on it is computed as usual. Nothing about the layers is assumed.
"""

import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

HEAVY = frozenset({
    torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.baddbmm, torch.einsum,
    Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm, Tensor.addmm, Tensor.baddbmm,
    torch.conv1d, torch.conv2d, F.conv1d, F.conv2d, F.linear,
    F.scaled_dot_product_attention, F.interpolate,
})  # fmt: skip
"""Functions whose results are kept."""
RANDOM = frozenset({
    "rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "normal", "uniform",
    "randperm", "dropout", "bernoulli", "multinomial",
    "dropout2d", "alpha_dropout", "empty", "empty_like", "new_empty",
})  # fmt: skip
SETTLED = 2
"""So many clicks show what all have in common."""
BYTES = 2**28
"""What a layer's results may take."""


class Memory:
    """What the clicks on one call of a layer have computed.

    Args:
        roots: Tensors that stay what they are: parameters, buffers and inputs.
    """

    def __init__(self, roots: Sequence[Tensor]) -> None:
        self.roots = list(roots)
        self.numbers: dict[Hashable, int] = {}
        self.results: dict[int, Any] = {}
        self.used: set[int] = set()
        self.clicks = 0
        self._turn = threading.Lock()

    @property
    def bytes(self) -> int:
        """What it holds."""
        return sum(map(_bytes, self.results.values()))

    def number(self, key: Hashable) -> int | None:
        """The number of what came about so; after the second click, if it was met before."""
        if self.clicks < SETTLED:
            return self.numbers.setdefault(key, len(self.numbers))
        return self.numbers.get(key)

    @contextmanager
    def click(self) -> Iterator[None]:
        """Compute a map inside of the block; results that only one pixel needed are dropped."""
        with self._turn:
            self.used.clear()
            with _Numbering(self):
                yield
            self.clicks += 1
            if self.clicks == SETTLED:
                self.results = {n: one for n, one in self.results.items() if n in self.used}


class _Numbering(TorchFunctionMode):
    """Follows how tensors come about."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory
        self._known: dict[int, tuple[weakref.ref[Tensor], int, int]] = {}
        for place, root in enumerate(memory.roots):
            self._note(root, memory.number(("root", place, root._version)))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        leaves, form = tree_flatten((args, kwargs))
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        key = self._key(func, leaves, form)
        number = None if key is None else self._memory.number(key)
        if number is not None and func in HEAVY and number in self._memory.results:
            self._memory.used.add(number)
            found = tree_map(_copy, self._memory.results[number])
            self._note_all(found, number)
            return found
        before = [(one, one._version, one._base, self._of(one._base)) for one in given]
        found = func(*args, **kwargs)
        if number is None:
            return found
        written = False
        for place, (one, version, base, of_base) in enumerate(before):
            if one._version == version:
                continue
            written = True
            self._note(one, self._memory.number(("written", number, place)))
            if base is not None and of_base is not None:
                self._note(base, self._memory.number(("below", number, place, of_base)))
        if not written:
            self._note_all(found, number)
            if func in HEAVY:
                self._keep(number, found)
        return found

    def _key(self, func: Any, leaves: list[Any], form: Any) -> Hashable | None:
        """How a result comes about, if that is known of all arguments."""
        parts: list[Hashable] = [func, str(form)]
        if getattr(func, "__name__", "").rstrip("_") in RANDOM:
            return None
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                number = self._of(leaf)
                if number is None:
                    return None
                parts.append(("tensor", number))
            elif isinstance(leaf, slice):  # of whole numbers or of tensors
                if any(isinstance(end, Tensor) for end in (leaf.start, leaf.stop, leaf.step)):
                    return None
                parts.append((slice, leaf.start, leaf.stop, leaf.step))
            else:
                parts.append((type(leaf), leaf))
        try:
            hash(key := tuple(parts))
        except TypeError:
            return None
        return key

    def _of(self, one: Tensor | None) -> int | None:
        kept = self._known.get(id(one))
        if one is None or kept is None or kept[0]() is not one or kept[2] != one._version:
            return None
        return kept[1]

    def _note(self, one: Tensor, number: int | None) -> None:
        if number is None:
            return
        self._known[id(one)] = (weakref.ref(one), number, one._version)

    def _note_all(self, found: Any, number: int) -> None:
        for place, one in enumerate(tree_flatten(found)[0]):
            if isinstance(one, Tensor):
                self._note(one, self._memory.number(("result", number, place)))

    def _keep(self, number: int, found: Any) -> None:
        memory = self._memory
        if memory.clicks == 0 and memory.bytes + _bytes(found) <= BYTES:
            memory.results[number] = tree_map(_copy, found)
            memory.used.add(number)


def _copy(one: Any) -> Any:
    return one.clone() if isinstance(one, Tensor) else one


def _bytes(found: Any) -> int:
    tensors = [one for one in tree_flatten(found)[0] if isinstance(one, Tensor)]
    return sum(one.numel() * one.element_size() for one in tensors)
