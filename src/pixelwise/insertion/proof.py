"""Whether a host computes what it computed before, and whether an insertion can be trained."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.attached import Attached
from pixelwise.insertion.examples import Example, mode, picture_of, quiet, run, seeded

Outputs = dict[str, list[Tensor]]
"""Everything that a host gives, by mode."""


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of a nested output, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tensors(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from tensors(inner)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from tensors(vars(value))


def outputs(host: nn.Module, example: Example) -> tuple[Outputs, dict[str, str]]:
    """The host's outputs in eval and train mode, and in which mode it does not run, with why.

    Randomness starts from one seed; random state, modes and buffers are afterwards as before.

    Raises:
        InputError: There is no tensor in the output, so nothing that could be compared.
    """
    found: Outputs = {}
    problems: dict[str, str] = {}
    for name in ("eval", "train"):
        try:
            with seeded(), mode(host, training=name == "train"), quiet(), torch.no_grad():
                found[name] = [t.clone() for t in tensors(run(host, example))]
        except Exception as error:  # whatever a host says of a mode that it cannot run in
            if name == "eval":
                raise
            problems[name] = in_one_line(error, 120)
    if not found["eval"]:
        raise InputError(
            f"no tensor was found in the output of {type(host).__name__}, so it cannot be compared;"
            " let it return tensors, in tuples, lists, mappings or dataclasses, or take prove=False"
        )
    return found, problems


def difference(before: list[Tensor], after: list[Tensor]) -> float:
    """The largest difference of two outputs; 0 only if all numbers are the same."""
    if [(t.shape, t.dtype) for t in before] != [(t.shape, t.dtype) for t in after]:
        return float("inf")
    largest = 0.0
    for one, other in zip(before, after, strict=True):
        same = (one == other) | (one.isnan() & other.isnan())
        if not same.all():
            gap = (one.double() - other.double()).abs()[~same]
            largest = max(largest, float(gap.nan_to_num(float("inf")).max()))
    return largest


def is_identity(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer gives its input back in both modes, to the last bit."""
    for training in (False, True):
        with seeded(), mode(layer, training=training), torch.no_grad():
            if not torch.equal(layer(x), x):
                return False
    return True


def unreached(host: nn.Module, example: Example, attached: list[Attached]) -> list[Attached]:
    """Insertions whose pixels the host's output does not depend on: they could not be trained.

    Behind the last block of a transformer only the class token may count. A gradient of zero
    everywhere is a dependence: the last norms of residual blocks often start at zero. Empty too
    where the host's output has no gradient at all.
    """
    seen: dict[Attached, Tensor] = {}
    hooks = [a.register_forward_hook(lambda a, _, y: seen.update({a: y})) for a in attached]
    try:
        with seeded(), mode(host, training=False), quiet(), torch.enable_grad():
            given = [t for t in tensors(run(host, example)) if t.requires_grad]
            places = [y for y in seen.values() if y.requires_grad]
            if not given or not places:
                return []
            directions = [torch.randn_like(t) for t in given]
            found = torch.autograd.grad(given, places, directions, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    image = picture_of(example).shape[-2:]
    slopes = dict(zip(seen, found, strict=True)) if len(places) == len(seen) else {}
    return [a for a, slope in slopes.items() if slope is None or _beside(a, slope, image)]


def _beside(attached: Attached, slope: Tensor, image: tuple[int, ...]) -> bool:
    """Whether a gradient reaches other tokens, but no pixel."""
    pixels = attached.place.layout.to_map(slope, (image[0], image[1]))
    return bool(slope.any()) and not bool(pixels.any())
