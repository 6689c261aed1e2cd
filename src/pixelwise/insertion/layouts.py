"""How a host lays out its features, and the way to (b, c, h, w) and back.

first    (b, c, h, w)
last     (b, h, w, c)
tokens   (b, p + h w, c), after p tokens that stand for no pixel (class tokens, registers)
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pixelwise.errors import InputError

Kind = Literal["first", "last", "tokens"]
Grid = tuple[int, int] | int
"""Rows and columns of the tokens, or the picture's pixels per token and side."""
MOST_PREFIX = 16
"""No known network has more tokens that stand for no pixel."""


@dataclass(frozen=True)
class FeatureLayout:
    """Where channels and pixels are in a host's features; `grid` and `prefix` are of tokens."""

    kind: Kind
    grid: Grid | None = None
    prefix: int = 0

    def size(self, shape: tuple[int, ...], image: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of features of that shape, made from a picture of that size.

        Raises:
            InputError: Tokens that do not fill the grid.
        """
        if self.kind == "first":
            return shape[2], shape[3]
        if self.kind == "last":
            return shape[1], shape[2]
        assert self.grid is not None
        rows, columns = self.grid if isinstance(self.grid, tuple) else _grid(image, self.grid)
        if rows * columns + self.prefix != shape[1]:
            raise InputError(
                f"{shape[1]} tokens do not fill a grid of {rows} rows and {columns} columns after"
                f" {self.prefix} other tokens; give the host pictures of the size that the grid is"
                " for, or the grid as pixels per token"
            )
        return rows, columns

    def channels(self, shape: tuple[int, ...]) -> int:
        """The width of features of that shape."""
        return shape[1] if self.kind == "first" else shape[-1]

    def to_map(self, x: Tensor, image: tuple[int, int]) -> Tensor:
        """(b, c, h, w), a view of x."""
        if self.kind == "first":
            return x
        if self.kind == "tokens":
            x = torch.unflatten(x[:, self.prefix :], 1, self.size(tuple(x.shape), image))
        return x.permute(0, 3, 1, 2)

    def from_map(self, y: Tensor, x: Tensor) -> Tensor:
        """What `to_map` made of x, changed to y, in the layout of x."""
        if self.kind == "first":
            return y
        y = y.permute(0, 2, 3, 1)
        if self.kind == "last":
            return y
        tokens = y.flatten(1, 2)
        return torch.cat([x[:, : self.prefix], tokens], dim=1) if self.prefix else tokens

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `FeatureLayout.read` is the way back."""
        return {"kind": self.kind, "grid": self.grid, "prefix": self.prefix}

    @classmethod
    def read(cls, found: dict[str, Any]) -> "FeatureLayout":
        """From what `plain` gave."""
        grid = found["grid"]
        return cls(found["kind"], tuple(grid) if isinstance(grid, list) else grid, found["prefix"])

    def __str__(self) -> str:
        if self.kind != "tokens":
            return f"channels {self.kind}"
        return f"tokens after {self.prefix}" if self.prefix else "tokens"


def _grid(image: tuple[int, int], patch: int) -> tuple[int, int]:
    return -(-image[0] // patch), -(-image[1] // patch)


def find_layout(
    shape: tuple[int, ...], image: tuple[int, int], batch: int, grid: Grid | None
) -> FeatureLayout | str:
    """The layout of a module's output for a batch of pictures of that size, or why it has none."""
    if len(shape) not in (3, 4):
        return f"its output has the shape {shape}, which is no map of pixels"
    if shape[0] != batch:
        return f"its output {shape} mixes the batch of {batch} pictures with windows of pixels"
    if len(shape) == 4:
        gaps = {"first": (shape[2], shape[3]), "last": (shape[1], shape[2])}
        found = min(gaps, key=lambda kind: _misfit(gaps[kind], image))
        if _misfit(gaps[found], image) > 2 / min(image):
            return f"its output {shape} has no axes in the proportion of the picture, {image}"
        if _misfit(gaps["first"], image) == _misfit(gaps["last"], image):
            return f"its output {shape} may have its channels first or last; give another example="
        return FeatureLayout("first" if found == "first" else "last")
    return _token_layout(shape, image, grid)


def _misfit(size: tuple[int, int], image: tuple[int, int]) -> float:
    return abs(size[0] / image[0] - size[1] / image[1])


def _token_layout(
    shape: tuple[int, ...], image: tuple[int, int], grid: Grid | None
) -> FeatureLayout | str:
    count = shape[1]
    if grid is not None:
        rows, columns = grid if isinstance(grid, tuple) else _grid(image, grid)
        if rows * columns > count:
            return f"its {count} tokens are fewer than a grid of {rows} x {columns} has"
        return FeatureLayout("tokens", grid, count - rows * columns)
    for prefix in range(min(count, MOST_PREFIX + 1)):
        for patch in range(1, math.ceil(max(image)) + 1):
            if math.prod(_grid(image, patch)) == count - prefix:
                return FeatureLayout("tokens", patch, prefix)
    return f"its {count} tokens are no grid of {image} pixels; say which: grid=(rows, columns)"
