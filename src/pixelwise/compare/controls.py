"""Plain convolutions that cost what a mechanism costs.

A gain that they have as well comes from more parameters and operations, not from attention. With a
width m, kernels of k x k, r repeats and g cells of the coarse grid, `PlainConvolution` has

    2 c m + k^2 m^2  (+ c)          parameters      k^2 m instead of k^2 m^2 if depthwise
    2 g (2 c m + r k^2 m^2)         operations

and without a width p = k l parameters and 2 g r p c operations. A mechanism with one parameter has
a control whose convolutions are fixed, with a learnt gain: p = 1, and g c operations more than
above. Options are looked through for those where both numbers are within 2 % of the mechanism's;
among them for the fewest repeats, and then for the smallest difference.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pixelwise.errors import InputError

TOLERANCE = 0.02
KERNELS = (1, 3, 5, 7)
MOST_REPEATS = 64
"""More make a layer of few parameters that needs much memory and trains badly."""
LONGEST = 15
"""Rows and columns of the one kernel, at most."""


@dataclass(frozen=True)
class Control:
    """Options of `PlainConvolution`, and how far its cost is from what was asked for.

    Args:
        options: As `create_layer("conv", c, **options)` takes them.
        parameters: Of it.
        operations: Of it, for the map that was asked for.
        difference: The larger relative difference of the two.
    """

    options: Mapping[str, Any]
    parameters: int
    operations: int
    difference: float

    @property
    def alike(self) -> bool:
        """Whether both are within 2 %."""
        return self.difference <= TOLERANCE


def control(channels: int, size: tuple[int, int], parameters: int, operations: int) -> Control:
    """Plain convolutions with so many parameters and operations, as nearly as there are.

    Args:
        channels: Of the map.
        size: Its rows and columns.
        parameters: At least 1.
        operations: Of one image, as `cost.flops` counts them.

    Raises:
        InputError: There are none: a layer without parameters has no such control.
    """
    if parameters < 1 or operations < 1:
        raise InputError(
            f"parameters={parameters}, operations={operations}: must be at least 1; a layer that"
            " has or does nothing needs no control"
        )
    grids = _grids(size)
    found = min(
        itertools.chain(
            _wide(channels, grids, parameters, operations),
            _single(channels, grids, parameters, operations),
            _fixed(channels, size[0] * size[1], operations) if parameters == 1 else (),
        ),
        key=lambda one: (
            not one.alike,
            one.options["repeats"] if one.alike else 0,
            one.difference,
        ),
        default=None,
    )
    if found is None:
        raise InputError(
            f"parameters={parameters}: no plain convolution has so few or many; compare with none"
        )
    return found


def _wide(
    channels: int, grids: Mapping[int, tuple[int, int]], parameters: int, operations: int
) -> Iterator[Control]:
    for k, depthwise, bias in itertools.product(KERNELS, (False, True), (True, False)):
        left = parameters - channels * bias
        if left <= 0:
            continue
        area = k * k
        if depthwise:
            width = left / (2 * channels + area)
        else:
            width = (math.sqrt(channels**2 + area * left) - channels) / area
        for m in {max(1, math.floor(width)), math.ceil(width)}:
            outer, inner = 2 * channels * m, area * m * (1 if depthwise else m)
            own = outer + inner + channels * bias
            for cells, cell in grids.items():
                repeats = _repeats((operations / (2 * cells) - outer) / inner)
                options = {
                    "width": m,
                    "kernel_size": k,
                    "repeats": repeats,
                    "cell": cell,
                    "depthwise": depthwise,
                    "bias": bias,
                }
                done = 2 * cells * (outer + repeats * inner)
                yield _control(options, own, done, parameters, operations)


def _single(
    channels: int, grids: Mapping[int, tuple[int, int]], parameters: int, operations: int
) -> Iterator[Control]:
    for rows, columns in itertools.product(range(1, LONGEST + 1), repeat=2):
        own = rows * columns
        if rows > columns or abs(own - parameters) > max(TOLERANCE * parameters, 0.5):
            continue
        for cells, cell in grids.items():
            repeats = _repeats(operations / (2 * cells * channels * own))
            options = {
                "width": None,
                "kernel_size": (rows, columns),
                "repeats": repeats,
                "cell": cell,
                "bias": False,
            }
            done = 2 * cells * channels * repeats * own
            yield _control(options, own, done, parameters, operations)


def _fixed(channels: int, cells: int, operations: int) -> Iterator[Control]:
    """Without a coarse grid, where they would be very wide."""
    for k in KERNELS:
        area, wanted = k * k, operations / (2 * cells) - channels / 2
        width = (math.sqrt(channels**2 + area * max(0.0, wanted)) - channels) / area
        for m in {max(1, math.floor(width)), math.ceil(width)}:
            options = {
                "width": m,
                "kernel_size": k,
                "repeats": 1,
                "cell": (1, 1),
                "bias": False,
                "fixed": True,
            }
            done = cells * (2 * (2 * channels * m + area * m * m) + channels)
            yield _control(options, 1, done, 1, operations)


def _repeats(wanted: float) -> int:
    return min(MOST_REPEATS, max(1, round(wanted)))


def _control(
    options: Mapping[str, Any], own: int, done: int, parameters: int, operations: int
) -> Control:
    difference = max(abs(own / parameters - 1), abs(done / operations - 1))
    return Control(options, own, done, difference)


def _grids(size: tuple[int, int]) -> dict[int, tuple[int, int]]:
    """Number of cells -> rows and columns of a cell, as much alike the map as may be."""
    height, width = size
    found: dict[int, tuple[float, tuple[int, int]]] = {}
    for cell in itertools.product(range(1, height + 1), range(1, width + 1)):
        cells = math.ceil(height / cell[0]) * math.ceil(width / cell[1])
        askew = abs(math.log(cell[0] * width / (cell[1] * height)))
        if cells not in found or askew < found[cells][0]:
            found[cells] = askew, cell
    return {cells: cell for cells, (_, cell) in sorted(found.items(), reverse=True)}
