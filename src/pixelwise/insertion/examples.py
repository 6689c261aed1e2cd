"""The input that a host is tried on, and the state it is left in."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from pixelwise.errors import InputError, in_one_line

SIZES = ((64, 96), (64, 64), (128, 192), (256, 384), (224, 224), (256, 256), (384, 384))
"""Pictures to try a host on; one that is not square tells rows from columns."""
BATCH = 2
SEED = 20240229
Example = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""The host's input: a picture, or positional or named arguments."""


def run(host: nn.Module, example: Example) -> Any:
    """The host's output for an example input."""
    if isinstance(example, Tensor):
        return host(example)
    return host(**example) if isinstance(example, Mapping) else host(*example)


def picture_of(example: Example) -> Tensor:
    """The first tensor (b, c, h, w) of an example input, also inside of lists and mappings.

    Raises:
        InputError: There is none.
    """
    for value in tree_leaves(example):
        if isinstance(value, Tensor) and value.ndim == 4:
            return value
    raise InputError("example holds no picture (b, c, h, w); give the host's input as a tensor")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the host's own warnings: they are about inputs that the user did not choose."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            log.setLevel(level)


@contextmanager
def seeded() -> Iterator[None]:
    """Randomness from one seed; afterwards it goes on as before."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(SEED)
        yield


@contextmanager
def modes_kept(host: nn.Module) -> Iterator[None]:
    """Afterwards every module is in the mode that it was in."""
    modes = {module: module.training for module in host.modules()}
    try:
        yield
    finally:
        for module, before in modes.items():
            module.training = before


@contextmanager
def mode(host: nn.Module, *, training: bool) -> Iterator[None]:
    """Put a host into train or eval mode; afterwards every module is as it was, buffers too."""
    buffers = {name: value.clone() for name, value in host.named_buffers()}
    with modes_kept(host):
        host.train(training)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in host.named_buffers():
                    if name in buffers:
                        value.copy_(buffers[name])


def example_for(host: nn.Module, size: tuple[int, int] | None) -> Example:
    """A small batch of pictures that the host takes.

    Raises:
        InputError: None of the usual sizes works; the first attempt's problem is told.
    """
    like = next((p for p in host.parameters() if p.is_floating_point()), torch.empty(0))
    problem: Exception | None = None
    sizes = [size] if size is not None else [*_own_sizes(host), *SIZES]
    for height, width in sizes:
        generator = torch.Generator().manual_seed(0)
        picture = torch.randn(BATCH, _bands(host), height, width, generator=generator)
        picture = picture.to(like.device, like.dtype)
        try:
            with torch.no_grad(), quiet(), mode(host, training=False):
                host(picture)
            return picture
        except Exception as error:  # whatever a host says of a size that it does not take
            problem = problem or error
    told = in_one_line(problem, 200)
    raise InputError(
        f"{type(host).__name__} did not run on pictures of {_bands(host)} bands and"
        f" {', '.join(f'{h}x{w}' for h, w in sizes)} pixels ({told}); give its input as example="
    )


def _bands(host: nn.Module) -> int:
    config = getattr(host, "config", None)
    for owner, name in ((config, "num_channels"), (config, "in_channels"), (host, "in_chans")):
        if isinstance(value := getattr(owner, name, None), int):
            return value
    convolutions = (m for m in host.modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    return 3 if first is None else first.in_channels


def _own_sizes(host: nn.Module) -> list[tuple[int, int]]:
    """The size that a host is made for, where it takes no other."""
    sizes: list[tuple[int, int]] = []
    for module in host.modules():
        found = getattr(module, "img_size", None) or getattr(module, "image_size", None)
        pair = (found, found) if isinstance(found, int) else found
        if not isinstance(pair, tuple | list) or [type(side) for side in pair] != [int, int]:
            continue
        if getattr(module, "strict_img_size", True) and max(pair) <= 512:
            sizes.append((pair[0], pair[1]))
    return list(dict.fromkeys(sizes))[:3]
