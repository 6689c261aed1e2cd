"""Numbers of a kernel beside the plain form in float64; graphs, streams, and equal runs."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from hour.cases import CASES, Case, Size, both_ways, running
from hour.timing import measure
from pixelwise.ops.running import failures, taken

Row = dict[str, object]
TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 6e-2}
"""Of the largest number of an output or a gradient. Sums of a card have another order."""
SMALL = 1e-3
"""Of the largest number of all gradients: what is smaller is compared with this."""
FAR = 2**31
"""Beyond this many numbers lies the last channel of a crop."""
LAYOUTS = ("even", "odd", "channels-last", "far")


def numbers(name: str, dtype: str, layout: str, size: Size, form: str, device: str) -> list[Row]:
    """A row for each output and each gradient."""
    case = CASES[name]
    inputs = case.draw(size, getattr(torch, dtype), device)
    inputs = laid_out(inputs, layout, FAR if device == "cuda" else 4096)
    found, took = _run(case, form, inputs)
    exact, _ = _run(case, "plain", {key: z.double() for key, z in inputs.items()})
    try:
        plain, _ = _run(case, "plain", inputs)
    except RuntimeError:  # such as no such operator for half types on a CPU
        plain = {}
    rows, tolerance = [], TOLERANCES[dtype]
    for of, wanted in exact.items():
        among = [z for key, z in exact.items() if key.startswith(of.partition(" ")[0])]
        least = SMALL * max(float(z.abs().max()) for z in among)
        error = relative(found[of], wanted, least)
        beside = f"{relative(plain[of], wanted, least):.2e}" if of in plain else ""
        verdict = "good" if error <= tolerance else "beyond"
        verdict = "another form ran" if replaced(form, took) else verdict
        rows.append(
            {"of": of, "error": f"{error:.2e}", "plain_error": beside}
            | {"tolerance": tolerance, "took": took, "verdict": verdict}
        )
    return rows


def relative(found: Tensor, wanted: Tensor, least: float) -> float:
    """The largest difference, by the largest number; infinite where there is no number."""
    scale = max(float(wanted.abs().max()), least, 1e-30)
    error = float((found.double() - wanted).abs().max()) / scale
    return error if error == error else float("inf")


def laid_out(inputs: dict[str, Tensor], layout: str, far: int) -> dict[str, Tensor]:
    """The same numbers, otherwise in memory."""
    if layout == "channels-last":
        return {key: _last(z) if z.dim() > 2 else z for key, z in inputs.items()}
    if layout == "far":
        return {key: _crop(z, far) if z.dim() > 2 else z for key, z in inputs.items()}
    return inputs


def _last(z: Tensor) -> Tensor:
    return z.movedim(1, -1).contiguous().movedim(-1, 1)


def _crop(z: Tensor, far: int) -> Tensor:
    """The last pixels of a map whose last channel is beyond `far` numbers; room for it alone."""
    steps = max(1, z.shape[1] - 1)
    apart = -(-far // steps // 64) * 64
    near = z.movedim(1, 0).contiguous()
    if near[0].numel() > apart:
        raise ValueError(f"channels of {near[0].numel()} numbers are no crop of {apart}")
    space = torch.empty(steps * apart + near[0].numel(), dtype=z.dtype, device=z.device)
    view = space.as_strided(near.shape, [apart, *near.stride()[1:]]).copy_(near)
    return view.movedim(0, 1)


def _run(case: Case, form: str, inputs: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """What it finds both ways, and the form that was taken: kernels can be replaced."""
    taken.forget()
    with running(case, form) as call:
        found = both_ways(call, inputs)
    return found, form_taken(case)


def replaced(form: str, took: str) -> bool:
    """Whether the lean form ran in place of a kernel, forward or backward."""
    return form == "kernel" and "lean" in took


def form_taken(case: Case) -> str:
    """What the operation ran in since `taken.forget`."""
    return " and ".join(taken.forms().get(case.operation, ()))


def graphs(name: str, dtype: str, size: Size, form: str, device: str) -> Iterator[Row]:
    """Two equal runs; a second stream; a captured graph, and how long it takes again."""
    case = CASES[name]
    inputs = case.draw(size, getattr(torch, dtype), device)
    wanted, took = _run(case, form, inputs)
    again, _ = _run(case, form, inputs)
    yield {"check": "two runs", "took": took} | _equal(again, wanted)
    if device != "cuda":
        yield from ({"check": check, "verdict": "no card"} for check in ("stream", "graph"))
        return
    yield {"check": "stream", "took": took} | _guarded(
        lambda: _on_a_stream(case, form, inputs, wanted)
    )
    for both in (False, True):
        check = "graph, train" if both else "graph, forward"
        replay = _guarded(lambda both=both: _captured(case, form, inputs, both))
        yield {"check": check, "took": took} | replay


def _guarded(check: Callable[[], Row]) -> Row:
    """An error is a row too, but for those after which a card answers nothing."""
    try:
        return check()
    except Exception as error:
        if broken(error):
            raise
        return {"verdict": "failed", "message": in_a_line(error)}


def _equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Row:
    other = [key for key, z in wanted.items() if not torch.equal(found[key], z)]
    return {"verdict": "differs" if other else "good", "message": ", ".join(other)}


def _on_a_stream(
    case: Case, form: str, inputs: dict[str, Tensor], wanted: dict[str, Tensor]
) -> Row:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found, _ = _run(case, form, inputs)
    stream.synchronize()
    return _equal(found, wanted)


def _captured(case: Case, form: str, inputs: dict[str, Tensor], both: bool) -> Row:
    """A graph of the operation, run again with other numbers."""
    slopes: list[Tensor] = []

    def once(given: dict[str, Tensor]) -> dict[str, Tensor]:
        if both:
            return both_ways(call, given, slopes)
        with torch.no_grad():
            found: Any = call(*given.values())
        found = found if isinstance(found, tuple) else (found,)
        return {f"output {i}": z for i, z in enumerate(found)}

    with running(case, form) as call:
        kept = {key: z.clone() for key, z in inputs.items()}
        others = {key: z.flip(0) * 0.5 for key, z in inputs.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            once(kept)
            once(kept)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = once(kept)
        for key, z in kept.items():
            z.copy_(others[key])
        graph.replay()
        torch.cuda.synchronize()
        wanted = once({key: z.clone() for key, z in others.items()})
        told = _equal(found, wanted)
        times = measure(graph.replay, "cuda", 0.2)
    return told | {"replay_us": round(times.median, 1)}


@contextlib.contextmanager
def warnings_told() -> Iterator[list[str]]:
    """What the library says about kernels that do not run here; it tries all of them again."""
    found: list[str] = []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split())[:300])

    failures.forget()
    log, told = logging.getLogger(failures.__name__), Told()
    log.addHandler(told)
    try:
        yield found
    finally:
        log.removeHandler(told)


def in_a_line(error: BaseException) -> str:
    """Its kind, and the beginning of what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def broken(error: BaseException) -> bool:
    """Whether the process gets no more answers of its card: an address that is not there, such."""
    told = str(error)
    signs = ("illegal memory access", "misaligned address", "unspecified launch failure")
    signs += ("device-side assert", "illegal instruction", "CUDA error", "HIP error")
    return not isinstance(error, torch.OutOfMemoryError) and any(sign in told for sign in signs)
