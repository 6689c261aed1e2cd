"""The operations that have a kernel, what goes into them, and the forms they run in.

A size is that of the map: images, channels, rows and columns. What else an operation takes follows
from it, as the layers have it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pixelwise.ops.attention.dispatch import attention
from pixelwise.ops.axis_gate.dispatch import axis_gate
from pixelwise.ops.joint_gate.dispatch import joint_gate
from pixelwise.ops.local_attention.dispatch import local_attention
from pixelwise.ops.polarized_gate.dispatch import polarized_gate
from pixelwise.ops.pooling.dispatch import attention_and_mean_pool, attention_pool
from pixelwise.ops.running import choice
from pixelwise.ops.selective_scan.dispatch import selective_scan
from pixelwise.ops.skewed_mask.dispatch import skewed_attention
from pixelwise.ops.streamed_projection.dispatch import streamed_projection

DTYPES = ("bfloat16", "float16", "float32")
"""In the order of their importance."""
BACK_ENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
HEADS = 4
WINDOW = 7
"""Places along a side of a window; three on maps that are hardly larger."""
MOST_MASK = 257
"""Lines of a mask at most, of those that a map twice as large would have."""


class Size(NamedTuple):
    """Images, channels, rows and columns."""

    b: int
    c: int
    h: int
    w: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


class Case(NamedTuple):
    """One operation, and the shapes of its inputs at a size."""

    operation: str
    function: Callable[..., Any]
    shapes: Callable[[Size], dict[str, tuple[int, ...]]]
    alike: bool = False
    """Whether all inputs have the type of the map; else the first alone, the others float32."""
    options: dict[str, Any] = {}  # noqa: RUF012 — never written to

    def draw(self, size: Size, dtype: torch.dtype, device: str, seed: int = 0) -> dict[str, Tensor]:
        """Inputs of this size; steps of scans are positive and their rates negative."""
        source = torch.Generator().manual_seed(seed)
        found = {}
        for name, shape in self.shapes(size).items():
            kind = dtype if self.alike or not found else torch.float32
            numbers = torch.randn(shape, generator=source)
            if name == "step":
                numbers = numbers.abs()
            if name == "rate":
                numbers = -numbers.abs()
            if name in ("query", "key", "weight"):
                numbers /= max(1, shape[-1] if name == "weight" else shape[-2]) ** 0.25
            found[name] = numbers.to(device, kind)
        return found


def _joint(s: Size) -> dict[str, tuple[int, ...]]:
    n = s.h * s.w
    return {"x": (s.b, s.c, n), "channel": (s.b, s.c), "spatial": (s.b, n)}


def _axis(s: Size) -> dict[str, tuple[int, ...]]:
    return {"x": s, "rows": (s.b, s.c, s.h), "columns": (s.b, s.c, s.w)}


def _polarized(s: Size) -> dict[str, tuple[int, ...]]:
    n = s.h * s.w
    vector = (s.b, s.c)
    return {"x": (s.b, s.c, n), "channel": vector, "direction": vector, "offset": (s.b, n)}


def _pool(s: Size) -> dict[str, tuple[int, ...]]:
    return {"x": (s.b, s.c, s.h * s.w), "weight": (s.c,), "bias": (1,)}


def _pairs(deep: int, wide: int) -> Callable[[Size], dict[str, tuple[int, ...]]]:
    """Keys and values of so many parts of the channels."""

    def shapes(s: Size) -> dict[str, tuple[int, ...]]:
        key = (s.b, max(1, s.c // deep), s.h * s.w)
        return {"query": key, "key": key, "value": (s.b, max(1, s.c // wide), s.h * s.w)}

    return shapes


def _window(s: Size) -> dict[str, tuple[int, ...]]:
    shape = (s.b, HEADS, max(1, s.c // (4 * HEADS)), s.h, s.w)
    return {"query": shape, "key": shape, "value": shape}


def _windows(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return local_attention(query, key, value, WINDOW if min(query.shape[3:]) > WINDOW else 3)


def _mask(s: Size) -> dict[str, tuple[int, ...]]:
    tall, broad = (min(MOST_MASK, 2 * side - 1) for side in (s.h, s.w))
    return {"weight": (tall, broad, s.c), "guide": s, "value": s}


def _projection(s: Size) -> dict[str, tuple[int, ...]]:
    o = max(1, s.c // 2)
    return {"x": (s.b, s.c, s.h * s.w), "weight": (s.b, o, s.c), "query": (s.b, o)}


def _scan(states: int) -> Callable[[Size], dict[str, tuple[int, ...]]]:
    def shapes(s: Size) -> dict[str, tuple[int, ...]]:
        n, e = s.h * s.w, max(1, 3 * s.c // 8)
        reads = (s.b, 4, n, states)
        sides = {"x": (s.b, 2, n, e), "step": (s.b, 4, n, e), "rate": (4, e, states)}
        return {**sides, "write": reads, "read": reads}

    return shapes


CASES = {
    "joint product": Case("joint_gate", joint_gate, _joint, options={"product": True}),
    "joint sum": Case("joint_gate", joint_gate, _joint, options={"product": False}),
    "axis": Case("axis_gate", axis_gate, _axis, alike=True),
    "polarized product": Case(
        "polarized_gate", polarized_gate, _polarized, options={"product": True, "softmax": True}
    ),
    "polarized sum": Case(
        "polarized_gate", polarized_gate, _polarized, options={"product": False, "softmax": False}
    ),
    "pool": Case("pooling", attention_pool, _pool),
    "pool and mean": Case("pooling", attention_and_mean_pool, _pool),
    "attention": Case("attention", attention, _pairs(8, 1), alike=True),
    "attention deep": Case("attention", attention, _pairs(2, 1), alike=True),
    "attention equal": Case("attention", attention, _pairs(2, 2), alike=True),
    "window": Case("local_attention", _windows, _window, alike=True),
    "mask collect": Case(
        "skewed_mask", skewed_attention, _mask, alike=True, options={"collect": True}
    ),
    "mask distribute": Case(
        "skewed_mask", skewed_attention, _mask, alike=True, options={"collect": False}
    ),
    "mask sum": Case(
        "skewed_mask",
        skewed_attention,
        _mask,
        alike=True,
        options={"collect": True, "softmax": False},
    ),
    "projection": Case("streamed_projection", streamed_projection, _projection),
    "scan": Case("selective_scan", selective_scan, _scan(1), options={"backwards": 2}),
    "scan of 16 states": Case(
        "selective_scan", selective_scan, _scan(16), options={"backwards": 2}
    ),
}
TIMED = (
    "attention", "attention equal", "joint product", "polarized product", "axis", "pool and mean",
    "window", "mask collect", "mask distribute", "projection", "scan", "scan of 16 states",
)  # fmt: skip
"""What is timed, in the order of its importance."""


def forms(case: Case) -> list[str]:
    """The forms of a case that a rule can take."""
    others = ("traced", "authors")
    return [form for form in choice.FORMS[case.operation] if form not in others]


def rivals(case: Case) -> list[str]:
    """What is timed beside these, and taken by no rule."""
    beside = [f"fused, {name}" for name in BACK_ENDS] + ["flex"]
    return ["compiled", *(beside if case.operation == "attention" else [])]


@contextlib.contextmanager
def running(case: Case, form: str, dry: bool = False) -> Iterator[Callable[..., Any]]:
    """The operation in a form, to be called with its inputs; a dry run compiles nothing."""

    def plainly(*inputs: Tensor) -> Any:
        return case.function(*inputs, **case.options)

    name, _, back_end = form.partition(", ")
    with contextlib.ExitStack() as stack:
        if form == "compiled":
            torch.compiler.reset()
            yield torch.compile(plainly, dynamic=False, backend="eager" if dry else "inductor")
            return
        if form == "flex":
            yield _flex(dry)
            return
        if back_end:
            stack.enter_context(sdpa_kernel(BACK_ENDS[back_end]))
        stack.enter_context(choice.forced(**{case.operation: name}))
        yield plainly


def _flex(dry: bool) -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    kernel = flex_attention if dry else torch.compile(flex_attention, dynamic=False)

    def run(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (z.mT.contiguous()[:, None] for z in (query, key, value))
        found: Tensor = kernel(q, k, v, scale=1.0)
        return found[:, 0].mT

    return run


def outputs(found: Any) -> list[Tensor]:
    """All that an operation returns."""
    return list(found) if isinstance(found, tuple) else [found]


def both_ways(
    run: Callable[..., Any], inputs: dict[str, Tensor], slopes: list[Tensor] | None = None
) -> dict[str, Tensor]:
    """Outputs, and the gradients of all inputs, for gradients that are the same in every run.

    These are kept in `slopes`, for calls that are timed.
    """
    slopes = [] if slopes is None else slopes
    sources = {name: z.detach().requires_grad_() for name, z in inputs.items()}
    found = outputs(run(*sources.values()))
    if not slopes:
        slopes += [slope(z) for z in found]
    grads = torch.autograd.grad(found, [*sources.values()], slopes, allow_unused=True)
    told = {f"output {i}": z.detach() for i, z in enumerate(found)}
    named = zip(sources, grads, strict=True)
    return told | {f"gradient of {name}": z for name, z in named if z is not None}


def slope(z: Tensor) -> Tensor:
    """A gradient for an output, made of its places alone."""
    places = torch.arange(z.numel(), device=z.device, dtype=torch.float32)
    return (places * 0.7).cos().reshape(z.shape).to(z.dtype)
