"""`ops.selective_scan` with the states in registers: of (l, e, n) numbers nothing is written.

A program goes through a stretch of one direction of some channels, a tile of places at a time:
within a tile by an associative scan of (decay, addition), from tile to tile by the state. Backward
starts at the last tile, and computes the states of each again from the state that enters it.

One stretch would be too few programs for a card. Of several each is gone through twice: first from
a state of zero, for what it adds to the state that leaves it; what enters the r-th is then

    h_r = D_(r-1) h_(r-1) + a_(r-1)      D the decay of a whole stretch, a what it adds

and backward the same from the end.
"""

from typing import Any, NamedTuple, no_type_check

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
PROGRAMS = 1024
"""For which there are stretches, as long as each has TILES."""
TILES = 8


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


@triton.jit
@no_type_check
def _from_the_end(
    step, d_l, d_e, g, c, leave, rates, order, size, turned, row, channels, in_e,
    block_t: tl.constexpr,
):  # fmt: skip
    """What later places take from each: a scan from the end, by the decays one after."""
    place, inside = _at(order + 1, size, turned), (row < block_t - 1) & (order + 1 < size)
    after = _read(step, d_l, d_e, place, inside, channels, in_e)
    slope = g[:, :, None] * c[:, None, :]
    slope += tl.where(row[:, None, None] == block_t - 1, leave[None], 0.0)
    decay = tl.exp(after[:, :, None] * rates[None])
    _, slope = tl.associative_scan((decay, slope), 0, _after, reverse=True)
    return slope


@triton.jit
@no_type_check
def _place(wide, high, e, n, block_e: tl.constexpr, block_n: tl.constexpr):
    """Stretch, direction and image of a program; its channels and states."""
    index, way, image = program(wide, high)
    slices = tl.cdiv(e, block_e)
    channels, in_e = places(index % slices, block_e, e)
    states = tl.arange(0, block_n)
    return index // slices, way.to(tl.int64), image, channels, in_e, states, states < n


@triton.jit
@no_type_check
def _stretch(index, long, tiles):
    """The first and the last tile, not counted, of a stretch of `long` tiles."""
    return index * long, tl.minimum(index * long + long, tiles)


@built("s", "k", "size", "tiles", "long", "ahead")
@no_type_check
def _additions(
    x, x_b, x_s, x_l, x_e, step, d_b, d_k, d_l, d_e, write, w_b, w_k, w_l, w_n,
    rate, decays, added, s, k, size, e, n, tiles, long, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    """What a stretch makes of the state that enters it."""
    part, way, image, channels, in_e, states, in_n = _place(wide, high, e, n, block_e, block_n)
    own, inside_states = image * k + way, in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    x, step = x + image * x_b + way % s * x_s, step + image * d_b + way * d_k
    write += image * w_b + way * w_k
    state = tl.zeros((block_e, block_n), tl.float32)
    passed = tl.zeros((block_e,), tl.float32)
    row = tl.arange(0, block_t)
    first, end = _stretch(part, long, tiles)
    for tile in range(first, end):
        order = tile * block_t + row
        place, inside = _at(order, size, way >= ahead), order < size
        d = _read(step, d_l, d_e, place, inside, channels, in_e)
        fed = d * _read(x, x_l, x_e, place, inside, channels, in_e)
        b = _read(write, w_l, w_n, place, inside, states, in_n)
        decay = tl.exp(d[:, :, None] * rates[None])
        h = fed[:, :, None] * b[:, None, :]
        h += tl.where(row[:, None, None] == 0, decay * state[None], 0.0)
        _, h = tl.associative_scan((decay, h), 0, _after)
        state = tl.sum(tl.where(row[:, None, None] == block_t - 1, h, 0.0), axis=0)
        passed += tl.sum(d, axis=0)
    at = (own * tl.cdiv(tiles, long) + part) * e * n + at_state
    tl.store(added + at, state, mask=inside_states)
    tl.store(decays + at, tl.exp(passed[:, None] * rates), mask=inside_states)


@built("k", "size", "tiles", "long", "ahead")
@no_type_check
def _slopes(
    step, d_b, d_k, d_l, d_e, read, r_b, r_k, r_l, r_n, grad, g_b, g_s, g_l, g_e,
    rate, added, s, k, size, e, n, tiles, long, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    """What a stretch adds to the gradient of the state that enters it."""
    part, way, image, channels, in_e, states, in_n = _place(wide, high, e, n, block_e, block_n)
    own, inside_states = image * k + way, in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    step, read = step + image * d_b + way * d_k, read + image * r_b + way * r_k
    grad += image * g_b + way % s * g_s
    leave = tl.zeros((block_e, block_n), tl.float32)
    row = tl.arange(0, block_t)
    first, end = _stretch(part, long, tiles)
    for done in range(end - first):
        order, turned = (end - 1 - done) * block_t + row, way >= ahead
        place, inside = _at(order, size, turned), order < size
        d = _read(step, d_l, d_e, place, inside, channels, in_e)
        c = _read(read, r_l, r_n, place, inside, states, in_n)
        g = _read(grad, g_l, g_e, place, inside, channels, in_e)
        slope = _from_the_end(
            step, d_l, d_e, g, c, leave, rates, order, size, turned, row, channels, in_e, block_t
        )
        decay = tl.exp(d[:, :, None] * rates[None])
        leave = tl.sum(tl.where(row[:, None, None] == 0, decay * slope, 0.0), axis=0)
    at = (own * tl.cdiv(tiles, long) + part) * e * n + at_state
    tl.store(added + at, leave, mask=inside_states)


@built("s", "k", "size", "tiles", "long", "ahead")
@no_type_check
def _forward(
    x, x_b, x_s, x_l, x_e, step, d_b, d_k, d_l, d_e, write, w_b, w_k, w_l, w_n,
    read, r_b, r_k, r_l, r_n, rate, decays, added, y, enters, s, k, size, e, n, tiles, long, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    part, way, image, channels, in_e, states, in_n = _place(wide, high, e, n, block_e, block_n)
    own, inside_states = image * k + way, in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    x, step = x + image * x_b + way % s * x_s, step + image * d_b + way * d_k
    write, read = write + image * w_b + way * w_k, read + image * r_b + way * r_k
    state = tl.zeros((block_e, block_n), tl.float32)
    before = own * tl.cdiv(tiles, long) * e * n + at_state
    for earlier in range(part):  # noqa: B007
        decay = tl.load(decays + before, mask=inside_states, other=0)
        state = decay * state + tl.load(added + before, mask=inside_states, other=0)
        before += e * n
    row = tl.arange(0, block_t)
    first, end = _stretch(part, long, tiles)
    for tile in range(first, end):
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


@built("batch", "s", "k", "size", "tiles", "long", "ahead")
@no_type_check
def _backward(
    x, x_b, x_s, x_l, x_e, step, d_b, d_k, d_l, d_e, write, w_b, w_k, w_l, w_n,
    read, r_b, r_k, r_l, r_n, grad, g_b, g_s, g_l, g_e, rate, decays, added, enters,
    of_x, of_step, of_rate, of_write, of_read, batch, s, k, size, e, n, tiles, long, ahead,
    wide, high,
    block_t: tl.constexpr, block_e: tl.constexpr, block_n: tl.constexpr,
):  # fmt: skip
    part, way, image, channels, in_e, states, in_n = _place(wide, high, e, n, block_e, block_n)
    own, inside_states = image * k + way, in_e[:, None] & in_n[None]
    at_state = channels[:, None] * n + states[None]
    rates = tl.load(rate + way * e * n + at_state, mask=inside_states, other=0)
    x, step = x + image * x_b + way % s * x_s, step + image * d_b + way * d_k
    write, read = write + image * w_b + way * w_k, read + image * r_b + way * r_k
    at_e = (tl.program_id(0) % wide % tl.cdiv(e, block_e)).to(tl.int64)
    grad, by_slice = grad + image * g_b + way % s * g_s, at_e * batch * k + own
    leave = tl.zeros((block_e, block_n), tl.float32)
    stretches = tl.cdiv(tiles, long)
    later = (own * stretches + stretches - 1) * e * n + at_state
    for passed in range(stretches - 1 - part):  # noqa: B007
        decay = tl.load(decays + later, mask=inside_states, other=0)
        leave = decay * leave + tl.load(added + later, mask=inside_states, other=0)
        later -= e * n
    slope_of_rate = tl.zeros((block_e, block_n), tl.float32)
    row = tl.arange(0, block_t)
    first, end = _stretch(part, long, tiles)
    for done in range(end - first):
        tile = end - 1 - done
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
        slope = _from_the_end(
            step, d_l, d_e, g, c, leave, rates, order, size, turned, row, channels, in_e, block_t
        )
        leave = tl.sum(tl.where(row[:, None, None] == 0, decay * slope, 0.0), axis=0)
        kept *= slope
        slope_of_rate += tl.sum(kept * d[:, :, None], axis=0)
        into = tl.sum(slope * b[:, None, :], axis=2)
        found = tl.sum(kept * rates[None], axis=2) + into * seen
        place = _at(order, size, turned)
        at, mask = (own * size + place[:, None]) * e + channels[None], inside[:, None] & in_e[None]
        tl.store(of_step + at, found, mask=mask)
        tl.store(of_x + at, into * d, mask=mask)
        at, mask = (
            (by_slice * size + place[:, None]) * n + states[None],
            inside[:, None] & in_n[None],
        )
        tl.store(of_write + at, tl.sum(slope * (d * seen)[:, :, None], axis=1), mask=mask)
        tl.store(of_read + at, tl.sum(h * g[:, :, None], axis=1), mask=mask)
    at = (part.to(tl.int64) * batch * k + own) * e * n + at_state
    tl.store(of_rate + at, slope_of_rate, mask=inside_states)


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, step: Tensor, rate: Tensor, write: Tensor, read: Tensor,
        backwards: int, lean: Plain,
    ) -> Tensor:  # fmt: skip
        ctx.lean, ctx.backwards = lean, backwards
        sizes, grid, stretches, blocks = _cut(x, step, rate, backwards)
        y, own = step.new_empty(step.shape), rate.contiguous()
        enters = step.new_empty(len(x), len(rate), sizes.tiles, *rate.shape[1:])
        decays = step.new_empty(len(x), len(rate), stretches, *rate.shape[1:])
        added = torch.empty_like(decays)
        if stretches > 1:
            given = _strided(x, step, write)
            launch(_additions, grid, *given, own, decays, added, *sizes, **blocks)
        given = _strided(x, step, write, read)
        launch(_forward, grid, *given, own, decays, added, y, enters, *sizes, **blocks)
        ctx.save_for_backward(x, step, rate, write, read, enters, decays)
        return _summed(y, x)

    @staticmethod
    @twice_differentiable(again)
    @lean_on_failure("selective_scan", again)
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        x, step, rate, write, read, enters, decays = ctx.saved_tensors
        sizes, grid, stretches, blocks = _cut(x, step, rate, ctx.backwards)
        of_x, of_step = step.new_empty(step.shape), step.new_empty(step.shape)
        of_rate = rate.new_empty(stretches * len(x), *rate.shape)
        slices = grid[0] // stretches
        of_write, of_read = (z.new_empty(slices, *z.shape) for z in (write, read))
        own, added = rate.contiguous(), torch.empty_like(decays)
        if stretches > 1:
            launch(_slopes, grid, *_strided(step, read, grad), own, added, *sizes, **blocks)
        given = _strided(x, step, write, read, grad)
        found = (of_x, of_step, of_rate, of_write, of_read)
        last = (own, decays, added, enters, *found, len(x))
        launch(_backward, grid, *given, *last, *sizes, **blocks)
        sums = of_rate.sum(dim=0), of_write.sum(dim=0), of_read.sum(dim=0)
        return _summed(of_x, x).to(x.dtype), of_step, *sums, None


class _Sizes(NamedTuple):
    """What all kernels are told of the maps, in their order."""

    s: int
    k: int
    size: int
    e: int
    n: int
    tiles: int
    long: int
    """Tiles of a stretch."""
    ahead: int


def _cut(
    x: Tensor, step: Tensor, rate: Tensor, backwards: int
) -> tuple[_Sizes, tuple[int, int, int], int, dict[str, Any]]:
    """Sizes, grid over (stretches and channels, directions, images), stretches, and blocks."""
    (k, e, n), places = rate.shape, step.shape[2]
    states = 1 << (n - 1).bit_length()
    channels = min(max(1, PER_PLACE // states), 32, 1 << (e - 1).bit_length())
    tile = min(PLACES, 1 << (places - 1).bit_length())
    tiles, slices = parts(places, tile), parts(e, channels)
    wanted = min(tiles // TILES, PROGRAMS // max(1, slices * k * len(x)))
    long = max(1, parts(tiles, max(1, wanted)))
    sizes = _Sizes(x.shape[1], k, places, e, n, tiles, long, k - backwards)
    stretches = parts(tiles, long)
    blocks = {"block_t": tile, "block_e": channels, "block_n": states, "num_warps": warps(128, x)}
    return sizes, (stretches * slices, k, len(x)), stretches, blocks


def _strided(*maps: Tensor) -> list[Any]:
    """Each map and its strides."""
    return [z for part in maps for z in (part, *part.stride())]


def _summed(y: Tensor, x: Tensor) -> Tensor:
    """What the directions of each sequence found, added."""
    return torch.unflatten(y, 1, (-1, x.shape[1])).sum(dim=1)


apply = _SelectiveScan.apply
