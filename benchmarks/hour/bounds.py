"""The least that each kernel has to do at a size: bytes, products, and other operations.

Bytes are those of every input read once and every output written once. Backward reads the inputs
and the gradients of the outputs, and writes those of the inputs; what forward left for it, such as
one number a pixel, is left out. Products are operations of matrix products, an addition and a
multiplication counted each, as they are needed without writing all pairs: backward, the scores are
computed once more. The others are single operations in float32, and exponentials.
"""

from typing import NamedTuple

import torch

from hour.cases import CASES, WINDOW, Case, Size


class Work(NamedTuple):
    """What is to be done."""

    moved: int
    """Bytes."""
    products: int
    """Operations on matrix units."""
    others: int
    """Operations beside them."""
    exponentials: int

    def __add__(self, other: tuple[int, ...]) -> "Work":
        return Work(*(one + two for one, two in zip(self, other, strict=True)))


def work(name: str, size: Size, dtype: torch.dtype, backward: bool) -> Work:
    """What one pass of a case needs; a training step needs both."""
    case = CASES[name]
    given = _bytes(case, size, dtype)
    out = _out(case, size, dtype)
    if backward and case.operation == "pooling":  # the gradient of the map that is handed on
        out += size.b * size.c * size.h * size.w * dtype.itemsize
    moved = 2 * given + out if backward else given + out
    return Work(moved, *_operations(name, size, backward))


def _bytes(case: Case, size: Size, dtype: torch.dtype) -> int:
    found = 0
    for i, shape in enumerate(case.shapes(size).values()):
        kind = dtype if case.alike or i == 0 else torch.float32
        found += torch.Size(shape).numel() * kind.itemsize
    return found


def _out(case: Case, size: Size, dtype: torch.dtype) -> int:
    """Bytes of the outputs; pools leave the map as it is."""
    shapes = case.shapes(size)
    whole = torch.Size(shapes.get("value") or shapes["x"]).numel()
    if case.operation == "pooling":
        return 2 * size.b * size.c * 4
    if case.operation == "streamed_projection":
        return size.b * size.h * size.w * 4
    return whole * (4 if case.operation == "selective_scan" else dtype.itemsize)


def _operations(name: str, size: Size, backward: bool) -> tuple[int, int, int]:
    """Products, others and exponentials."""
    case, n = CASES[name], size.h * size.w
    shapes = {key: tuple(shape) for key, shape in case.shapes(size).items()}
    whole, pairs = size.b * size.c * n, size.b * n * n
    match case.operation:
        case "joint_gate":
            # x (1 + sigmoid(m s)); backward g (1 + w), g x w (1 - w) and its sums over both axes
            return 0, whole * (12 if backward else 5), whole
        case "axis_gate":
            # x s t; backward g s t, g x and its sums over rows and columns
            return 0, whole * (7 if backward else 2), 0
        case "polarized_gate":
            # u . x and x (m s); backward g m s, g x and two sums, x . dl and u dl
            return 0, whole * (10 if backward else 4), size.b * n
        case "pooling":
            # w . x, sum p x and sum x; backward r . x, x . ds, r p + w ds + dm + g
            return 0, whole * (9 if backward else 5), size.b * n
        case "attention":
            # q k and A v; backward the scores, dv = g A, dA = g v, dq = k dS, dk = q dS
            d, e = shapes["key"][1], shapes["value"][1]
            each = (2 * (3 * d + 2 * e)) if backward else 2 * (d + e)
            return pairs * each, pairs * (4 if backward else 3), pairs
        case "local_attention":
            # the same for the places of a window, one query after the other
            width = shapes["key"][1] * shapes["key"][2]
            near = size.b * n * WINDOW**2
            each = 10 * width if backward else 4 * width
            heads = shapes["key"][1]
            return near * each, near * heads * 3, near * heads
        case "skewed_mask":
            # as attention, with W_(y-x) . a_x for scores; of them only those within the mask
            p, q, d = shapes["weight"]
            near = size.b * _within(size.h, p) * _within(size.w, q)
            each = (2 * (3 * d + 2 * size.c)) if backward else 2 * (d + size.c)
            softmax = case.options.get("softmax", True)
            return near * each, near * (4 if backward else 3), near * softmax
        case "streamed_projection":
            # W x; backward once more, and s x^T and W^T s
            scores = size.b * shapes["query"][1] * n
            # all in float32, the type of its weight
            products = scores * size.c * 2 * (3 if backward else 1)
            return 0, products + scores * (8 if backward else 3), scores
        case "selective_scan":
            # h = a h + (d x) b and c . h; backward the states again, and their gradients
            e, states = shapes["rate"][1:]
            each = size.b * 4 * n * e * states
            return 0, each * (18 if backward else 6), each
    raise NotImplementedError(f"{case.operation} has no formula here")


def _within(side: int, mask: int) -> int:
    """Pairs of places of a line that are no further apart than half of a mask."""
    half = min(side - 1, (mask - 1) // 2)
    return side + 2 * sum(side - apart for apart in range(1, half + 1))


class Rates(NamedTuple):
    """What a card can do in a second."""

    bandwidth: float
    products: float
    others: float
    exponentials: float | None = None


def bound(needed: Work, rates: Rates) -> tuple[float, str]:
    """The least time in microseconds, and what it is for."""
    times = {
        "memory": needed.moved / rates.bandwidth,
        "matrix units": needed.products / rates.products,
        "float32 units": needed.others / rates.others,
    }
    if rates.exponentials:
        times["exponentials"] = needed.exponentials / rates.exponentials
    most = max(times, key=lambda name: times[name])
    return times[most] * 1e6, most
