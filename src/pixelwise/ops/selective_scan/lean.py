"""The recurrence in runs of the sequence, by pairs inside of a run: see `pairs`.

Backward is the same from the other end: with e_t the gradient of y_t,

    g_t = C_t e_t + a_(t+1) g_(t+1),   q_t = g_t a_t h_(t-1)
    dA = sum_t q_t d_t,   dd_t = A . q_t + x_t B_t . g_t,   dx_t = d_t B_t . g_t
    dB_t = g_t . d_t x_t,   dC_t = h_t . e_t

Only the inputs are kept, and the state at the end of each run.
"""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from pixelwise.ops.running import blocks
from pixelwise.ops.running.backward import Gradients, twice_differentiable
from pixelwise.ops.selective_scan.pairs import scan
from pixelwise.ops.selective_scan.plain import again

RUN = 1 << 19
"""Elements of the states of a run on a CPU (2 MB of float32): with larger ones, the memory of each
run is mapped anew, which costs several times the arithmetic."""


class SelectiveScan(torch.autograd.Function):
    """What all directions read, summed for each sequence."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, step: Tensor, rate: Tensor, write: Tensor, read: Tensor, backwards: int
    ) -> Tensor:
        """Direction by direction, run by run."""
        ctx.backwards = backwards
        runs, (directions, _, states) = _runs(step, rate), rate.shape
        y = torch.zeros(x.shape, dtype=step.dtype, device=x.device)
        ends = step.new_empty(directions, len(runs), len(x), states, x.shape[3])
        for k in range(directions):
            own, back = k % x.shape[1], k >= directions - backwards
            for i in blocks.images(x):
                enter = None
                for number in _worked(x, runs):
                    t = runs[-1 - number if back else number]
                    d, b, c = step[i, k, t], write[i, k, t], read[i, k, t]
                    _, h = _states(d, d * x[i, own, t], rate[k], b, enter, back)
                    seen = y[i, own, t]
                    for j in range(states):
                        seen.addcmul_(h[:, :, j], c[:, :, j, None])
                    enter = ends[k, number, i].copy_(h[:, 0 if back else -1])
        ctx.save_for_backward(x, step, rate, write, read, ends)
        return y

    @staticmethod
    @twice_differentiable(again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        """Run by run from the end, with the states of each computed again."""
        x, step, rate, write, read, ends = ctx.saved_tensors
        runs, directions = _runs(step, rate), len(rate)
        d_x = torch.zeros_like(grad)
        d_step, d_write, d_read = (torch.empty_like(z) for z in (step, write, read))
        d_rate = torch.zeros_like(rate)
        for k in range(directions):
            own, back = k % x.shape[1], k >= directions - ctx.backwards
            first, last = (-1, 0) if back else (0, -1)
            for i in blocks.images(x):
                leave = None
                for number in reversed(_worked(x, runs)):
                    t = runs[-1 - number if back else number]
                    d, b, e, seen = step[i, k, t], write[i, k, t], grad[i, own, t], x[i, own, t]
                    enter, fed = ends[k, number - 1, i] if number else None, d * seen
                    decay, h = _states(d, fed, rate[k], b, enter, back)
                    kept = torch.zeros_like(h)  # of the state before
                    if back:
                        torch.mul(h[:, 1:], decay[:, :-1], out=kept[:, :-1])
                    else:
                        torch.mul(h[:, :-1], decay[:, 1:], out=kept[:, 1:])
                    if enter is not None:
                        torch.mul(enter, decay[:, first], out=kept[:, first])
                    slope = e[:, :, None] * read[i, k, t, :, None]
                    if leave is not None:
                        slope[:, last] += leave
                    scan(decay.roll(1 if back else -1, 1), slope, not back)
                    leave = decay[:, first] * slope[:, first]
                    into, d_d = torch.zeros_like(d), torch.zeros_like(d)
                    for j, moved in enumerate(kept.mul_(slope).unbind(2)):
                        into.addcmul_(slope[:, :, j], b[:, :, j, None])
                        d_d.addcmul_(moved, rate[k, :, j])
                        d_rate[k, :, j] += (moved * d).sum((0, 1))
                        d_write[i, k, t, j] = (slope[:, :, j] * fed).sum(2)
                        d_read[i, k, t, j] = (h[:, :, j] * e).sum(2)
                    d_step[i, k, t] = d_d.addcmul_(into, seen)
                    d_x[i, own, t].addcmul_(into, d)
        return d_x.to(x.dtype), d_step, d_rate, d_write, d_read, None


def _runs(step: Tensor, rate: Tensor) -> list[slice]:
    """The sequence in parts that are worked on at a time."""
    batch = 1 if blocks.cached(step.device) else len(step)
    return list(blocks.spans(step.shape[2], batch * rate[0].numel(), RUN, step.device))


def _worked(x: Tensor, runs: list[slice]) -> list[int]:
    """Numbers of the runs that are worked on.

    Of a map without values, which stands for the memory of a real one, each kind of run is enough.
    """
    numbers = list(range(len(runs)))
    return [*numbers[:2], *numbers[2:][-1:]] if isinstance(x, FakeTensor) else numbers


def _states(
    step: Tensor, fed: Tensor, rate: Tensor, write: Tensor, enter: Tensor | None, back: bool
) -> tuple[Tensor, Tensor]:
    """The decays of a run, and its states (b, places, n, e) after the state that enters it."""
    decay = (step[:, :, None] * rate.mT.contiguous()).exp_()
    h = fed[:, :, None] * write[..., None]
    if enter is not None:
        first = -1 if back else 0
        h[:, first].addcmul_(decay[:, first], enter)
    scan(decay.clone(), h, back)
    return decay, h
