"""`ops.selective_scan` with the states in registers: of (l, e, n) numbers nothing is written.

A program goes through one direction of some channels, a tile of places at a time: within a tile by
an associative scan of (decay, addition), from tile to tile by the state. Backward starts at the
last tile, and computes the states of each again from the state that enters it.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from pixelwise.ops.running.backward import Gradients, Plain, twice_differentiable
from pixelwise.ops.running.kernel_launch import built, launch, parts, places, program, warps
from pixelwise.ops.running.kernels import lean_on_failure
from pixelwise.ops.selective_scan.plain import again

PLACES = 32
"""Places of a tile at most."""
PER_PLACE = 128
"""States of a program at one place: 32 numbers a thread in each block of a tile."""


@triton.jit
@no_type_check
def _after(decay, addition, later_decay, later_addition):
    return decay * later_decay, later_decay * addition + later_addition


@triton.jit
@no_type_check
def _at(order, size, turned):
    """Where the places of a direction lie in the sequence."""
    return tl.where(turned, size - 1 - order, order).to(tl.int64)


@triton.jit
@no_type_check
def _read(z, z_l, z_e, place, inside, columns, known):
    """Some places (rows) of some channels or states (columns)."""
    at = z + place[:, None] * z_l + columns[None] * z_e
    return tl.load(at, mask=inside[:, None] & known[None], other=0).to(tl.float32)


@built("s", "k", "size", "tiles", "ahead")
@no_type_check
def _forward(
    x, x_b, x_s, x_l, x_e, step, d_b, d_k, d_l, d_e, write, w_b, w_k, w_l, w_n,
    read, r_b, r_k, r_l, r_n, rate, y, enters, s, k, size, e, n, tiles, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    at_e, way, image = program(wide, high)
    way = way.to(tl.int64)
    channels, in_e = places(at_e, block_e, e)
    states, own = tl.arange(0, block_n), image * k + way
    in_n = states < n
    inside_states = in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    x, step = x + image * x_b + way % s * x_s, step + image * d_b + way * d_k
    write, read = write + image * w_b + way * w_k, read + image * r_b + way * r_k
    state = tl.zeros((block_e, block_n), tl.float32)
    row = tl.arange(0, block_t)
    for tile in range(tiles):
        tl.store(enters + (own * tiles + tile) * e * n + at_state, state, mask=inside_states)
        order = tile * block_t + row
        place, inside = _at(order, size, way >= ahead), order < size
        d = _read(step, d_l, d_e, place, inside, channels, in_e)
        fed = d * _read(x, x_l, x_e, place, inside, channels, in_e)
        b = _read(write, w_l, w_n, place, inside, states, in_n)
        c = _read(read, r_l, r_n, place, inside, states, in_n)
        decay = tl.exp(d[:, :, None] * rates[None])
        h = fed[:, :, None] * b[:, None, :]
        h += tl.where(row[:, None, None] == 0, decay * state[None], 0.0)
        _, h = tl.associative_scan((decay, h), 0, _after)
        state = tl.sum(tl.where(row[:, None, None] == block_t - 1, h, 0.0), axis=0)
        at = y + (own * size + place[:, None]) * e + channels[None]
        found = tl.sum(h * c[:, None, :], axis=2)
        tl.store(at, found, mask=inside[:, None] & in_e[None])


@built("batch", "s", "k", "size", "tiles", "ahead")
@no_type_check
def _backward(
    x, x_b, x_s, x_l, x_e, step, d_b, d_k, d_l, d_e, write, w_b, w_k, w_l, w_n,
    read, r_b, r_k, r_l, r_n, grad, g_b, g_s, g_l, g_e, rate, enters,
    of_x, of_step, of_rate, of_write, of_read, batch, s, k, size, e, n, tiles, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    at_e, way, image = program(wide, high)
    way = way.to(tl.int64)
    channels, in_e = places(at_e, block_e, e)
    states, own = tl.arange(0, block_n), image * k + way
    in_n = states < n
    inside_states = in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    x, step = x + image * x_b + way % s * x_s, step + image * d_b + way * d_k
    write, read = write + image * w_b + way * w_k, read + image * r_b + way * r_k
    grad, part = grad + image * g_b + way % s * g_s, at_e.to(tl.int64) * batch * k + own
    leave = tl.zeros((block_e, block_n), tl.float32)
    slope_of_rate = tl.zeros((block_e, block_n), tl.float32)
    row = tl.arange(0, block_t)
    for done in range(tiles):
        tile = tiles - 1 - done
        order, turned = tile * block_t + row, way >= ahead
        place, inside = _at(order, size, turned), order < size
        d = _read(step, d_l, d_e, place, inside, channels, in_e)
        seen = _read(x, x_l, x_e, place, inside, channels, in_e)
        b = _read(write, w_l, w_n, place, inside, states, in_n)
        c = _read(read, r_l, r_n, place, inside, states, in_n)
        g = _read(grad, g_l, g_e, place, inside, channels, in_e)
        decay = tl.exp(d[:, :, None] * rates[None])
        # The state before each place: a scan of the places one before, from what enters the tile.
        place, inside_before = _at(order - 1, size, turned), (row > 0) & (order - 1 < size)
        before = _read(step, d_l, d_e, place, inside_before, channels, in_e)
        fed = before * _read(x, x_l, x_e, place, inside_before, channels, in_e)
        written = _read(write, w_l, w_n, place, inside_before, states, in_n)
        at = enters + (own * tiles + tile) * e * n + at_state
        enter = tl.load(at, mask=inside_states, other=0)
        addition = fed[:, :, None] * written[:, None, :]
        addition = tl.where(row[:, None, None] == 0, enter[None], addition)
        _, kept = tl.associative_scan(
            (tl.exp(before[:, :, None] * rates[None]), addition), 0, _after
        )
        kept *= decay
        h = kept + (d * seen)[:, :, None] * b[:, None, :]
        # What later places take from each: a scan from the end, by the decays one after.
        place, inside_after = _at(order + 1, size, turned), (row < block_t - 1) & (order + 1 < size)
        after = _read(step, d_l, d_e, place, inside_after, channels, in_e)
        slope = g[:, :, None] * c[:, None, :]
        slope += tl.where(row[:, None, None] == block_t - 1, leave[None], 0.0)
        ahead_decay = tl.exp(after[:, :, None] * rates[None])
        _, slope = tl.associative_scan((ahead_decay, slope), 0, _after, reverse=True)
        leave = tl.sum(tl.where(row[:, None, None] == 0, decay * slope, 0.0), axis=0)
        kept *= slope
        slope_of_rate += tl.sum(kept * d[:, :, None], axis=0)
        into = tl.sum(slope * b[:, None, :], axis=2)
        found = tl.sum(kept * rates[None], axis=2) + into * seen
        place = _at(order, size, turned)
        at, mask = (own * size + place[:, None]) * e + channels[None], inside[:, None] & in_e[None]
        tl.store(of_step + at, found, mask=mask)
        tl.store(of_x + at, into * d, mask=mask)
        at, mask = (part * size + place[:, None]) * n + states[None], inside[:, None] & in_n[None]
        tl.store(of_write + at, tl.sum(slope * (d * seen)[:, :, None], axis=1), mask=mask)
        tl.store(of_read + at, tl.sum(h * g[:, :, None], axis=1), mask=mask)
    tl.store(of_rate + own * e * n + at_state, slope_of_rate, mask=inside_states)


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, step: Tensor, rate: Tensor, write: Tensor, read: Tensor,
        backwards: int, lean: Plain,
    ) -> Tensor:  # fmt: skip
        ctx.lean, ctx.backwards = lean, backwards
        sizes, grid, blocks = _cut(x, step, rate, backwards)
        y = step.new_empty(step.shape)
        enters = step.new_empty(len(x), len(rate), sizes[-2], *rate.shape[1:])
        given = [z for part in (x, step, write, read) for z in (part, *part.stride())]
        launch(_forward, grid, *given, rate.contiguous(), y, enters, *sizes, **blocks)
        ctx.save_for_backward(x, step, rate, write, read, enters)
        return _summed(y, x)

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("selective_scan", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, step, rate, write, read, enters = ctx.saved_tensors
        sizes, grid, blocks = _cut(x, step, rate, ctx.backwards)
        of_x, of_step = step.new_empty(step.shape), step.new_empty(step.shape)
        of_rate = rate.new_empty(len(x), *rate.shape)
        of_write, of_read = (z.new_empty(grid[0], *z.shape) for z in (write, read))
        given = [z for part in (x, step, write, read, grad) for z in (part, *part.stride())]
        found = (of_x, of_step, of_rate, of_write, of_read)
        last = (rate.contiguous(), enters, *found, len(x))
        launch(_backward, grid, *given, *last, *sizes, **blocks)
        sums = of_rate.sum(dim=0), of_write.sum(dim=0), of_read.sum(dim=0)
        return _summed(of_x, x).to(x.dtype), of_step, *sums, None


def _cut(x: Tensor, step: Tensor, rate: Tensor, backwards: int) -> tuple[Any, Any, Any]:
    """Sizes, the grid over (channels, directions, images), and the blocks of a program."""
    (k, e, n), places = rate.shape, step.shape[2]
    states = 1 << (n - 1).bit_length()
    channels = min(max(1, PER_PLACE // states), 32, 1 << (e - 1).bit_length())
    tile = min(PLACES, 1 << (places - 1).bit_length())
    sizes = (x.shape[1], k, places, e, n, parts(places, tile), k - backwards)
    blocks = {"block_t": tile, "block_e": channels, "block_n": states, "num_warps": warps(128, x)}
    return sizes, (parts(e, channels), k, len(x)), blocks


def _summed(y: Tensor, x: Tensor) -> Tensor:
    """What the directions of each sequence found, added."""
    return torch.unflatten(y, 1, (-1, x.shape[1])).sum(dim=1)


apply = _SelectiveScan.apply
