"""A layer as it is beside its compiled form: the same numbers, and which is faster.

Both run on copies of the layer, in turns, so that nothing of the layer changes and a machine that
is busy for a while is so for both.
"""

import contextlib
import copy
import random
import statistics
import time
import types
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from pixelwise.compiling.kinds import TRAIN, layout
from pixelwise.compiling.verdicts import Verdict
from pixelwise.layers.base import Layer

SHARE = 0.9
"""The compiled form is taken where it needs this share of the time, or less."""
LEAST, MOST = 5, 31
"""Turns of a round."""
ROUND = 1.0
"""Seconds of a round that has turns enough."""
ROUNDS = 3
"""At most; one is enough where the times differ little."""
SPREAD = 0.25
"""Half of the times of a form lie within such a share of the median, or there is another round."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""By which share of the largest number two forms may differ."""

Work = Callable[[], list[Tensor]]


class NotCompiled(Exception):
    """torch.compile made no graph: it is switched off, or gave up."""


def compiled_form(layer: nn.Module) -> Callable[..., Tensor]:
    """The layer's forward under torch.compile, of a code object of its own.

    torch keeps no more than eight compiled forms of one code object: too few for all the layers of
    a network, and each is one per size, type and mode.
    """
    own = type(layer).forward
    code = own.__code__.replace()
    function = types.FunctionType(code, own.__globals__, own.__name__, None, own.__closure__)
    form: Callable[..., Tensor] = torch.compile(types.MethodType(function, layer), dynamic=False)
    return form


def seconds(work: Work) -> float:
    """What a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def graphs() -> int:
    """How many graphs torch.compile made in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def measured(layer: Layer, mode: str, given: tuple[Tensor, ...]) -> Verdict | None:
    """The verdict on a layer in a mode with such maps; None where the layer cannot take them.

    Args:
        layer: Stays as it is.
        mode: "forward" or "train".
        given: What it is called with.
    """
    with _aside(mode):
        try:
            one, other = _twin(layer), _twin(layer)
            ours = _work(one, types.MethodType(type(layer).forward, one), mode, given)
            wanted = ours()
        except Exception:  # of many types: the call itself will tell
            return None
        if not all(torch.isfinite(value).all() for value in wanted):
            return None
        try:
            before = graphs()
            theirs = _work(other, compiled_form(other), mode, given)
            found = theirs()
            if graphs() == before:
                raise NotCompiled
        except Exception:  # of many types, of the compiler too
            return Verdict(layer.name, mode, False, 0.0, "failed")
        maps = 1 + sum(x.requires_grad for x in given) if mode == TRAIN else 1
        pairs = [(maps, found, wanted), (0, _buffers(other), _buffers(one))]
        if not all(_alike(*pair) for pair in pairs):
            return Verdict(layer.name, mode, False, 0.0, "differs")
        ratio, faster = judged(timed(ours, theirs))
    return Verdict(layer.name, mode, faster, round(ratio, 3), "faster" if faster else "slower")


@contextlib.contextmanager
def _aside(mode: str) -> Iterator[None]:
    """Random numbers stay, and nobody who keeps what backward needs sees what is done here."""
    drawn = random.getstate()
    try:
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(mode == TRAIN),
            torch.random.fork_rng(devices=[]),
            torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x),
        ):
            yield
    finally:
        random.setstate(drawn)


def _twin(layer: nn.Module) -> nn.Module:
    """A copy without hooks, which may hold anything, and without its own `forward`."""
    bare = copy.copy(layer)
    own = vars(bare)
    own.pop("forward", None)
    for name, value in list(own.items()):
        if name.startswith("_") and "hooks" in name and isinstance(value, dict):
            own[name] = type(value)()
    return copy.deepcopy(bare)


def _work(
    layer: nn.Module, forward: Callable[..., Tensor], mode: str, given: tuple[Tensor, ...]
) -> Work:
    """Forward, or forward and backward; both give what they computed."""
    maps = [x.detach().clone(memory_format=torch.preserve_format) for x in given]
    if mode != TRAIN:
        return lambda: [forward(*maps)]
    for x, like in zip(maps, given, strict=True):
        x.requires_grad_(like.requires_grad)
    sought = [value for value in (*maps, *layer.parameters()) if value.requires_grad]

    def run() -> list[Tensor]:
        y = forward(*maps)
        gradients = torch.autograd.grad(y, sought, _cotangent(y), allow_unused=True)
        return [y.detach(), *(g for g in gradients if g is not None)]

    return run


def _cotangent(y: Tensor) -> Tensor:
    """Different at every place, and always the same."""
    flat = torch.arange(y.numel(), dtype=torch.float32).mul_(0.7).sin_().add_(0.5)
    return torch.empty_like(y).copy_(flat.view(y.shape))


def _buffers(layer: nn.Module) -> list[Tensor]:
    return [value for value in layer.buffers() if value.is_floating_point()]


def _alike(maps: int, found: list[Tensor], wanted: list[Tensor]) -> bool:
    """Whether these are the same numbers, but for rounding.

    The first `maps` are output and gradients of inputs, each beside its own size. What belongs to
    the weights is seen beside the largest of them: the gradient of a bias before a norm is zero,
    but for rounding.
    """
    if len(found) != len(wanted) or any(
        (one.shape, one.dtype) != (other.shape, other.dtype)
        for one, other in zip(found, wanted, strict=True)
    ):
        return False
    if maps and layout(found[0]) != layout(wanted[0]):
        return False
    largest = max(map(_size, wanted[maps:]), default=0.0)
    return all(
        _size(one.double() - other.double())
        <= TOLERANCE[other.dtype] * (_size(other) if place < maps else largest)
        for place, (one, other) in enumerate(zip(found, wanted, strict=True))
    )


def _size(value: Tensor) -> float:
    return float(value.abs().max()) if value.numel() else 0.0


def timed(ours: Work, theirs: Work) -> tuple[list[float], list[float]]:
    """Their times, in rounds until those of each differ little."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        _round(ours, theirs, times)
        if _steady(times):
            break
    return times


def judged(times: tuple[list[float], list[float]]) -> tuple[float, bool]:
    """How many times faster the second form is, by medians, and whether that is enough.

    Where times still differ much, the shortest ones have to agree.
    """
    ratio = _ratio(statistics.median(one) for one in times)
    if not _steady(times):
        ratio = min(ratio, _ratio(min(one) for one in times))
    return ratio, ratio * SHARE >= 1


def _ratio(pair: Iterable[float]) -> float:
    ours, theirs = pair
    return max(ours, 1e-9) / max(theirs, 1e-9)


def _round(ours: Work, theirs: Work, times: tuple[list[float], list[float]]) -> None:
    spent = 0.0
    for turn in range(MOST):
        for which in (0, 1) if turn % 2 else (1, 0):
            took = seconds((ours, theirs)[which])
            times[which].append(took)
            spent += took
        if turn + 1 >= LEAST and spent > ROUND:
            break


def _steady(times: tuple[list[float], list[float]]) -> bool:
    quarters = [statistics.quantiles(one, n=4) for one in times]
    return all(high - low <= SPREAD * middle for low, middle, high in quarters)
