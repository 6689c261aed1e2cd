"""Find upsamplers by name: a file in this package is enough."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import torch

from pixelwise import naming
from pixelwise.errors import unknown
from pixelwise.layers import upsampling
from pixelwise.layers.made import made
from pixelwise.layers.upsampling.base import Upsampler


@functools.cache
def available() -> Mapping[str, type[Upsampler]]:
    """Key -> class."""
    found: dict[str, type[Upsampler]] = {}
    for module in pkgutil.iter_modules(upsampling.__path__, upsampling.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and issubclass(value, Upsampler) and "key" in vars(value):
                found[value.key] = value
    return dict(sorted(found.items()))


@functools.cache
def all_names() -> naming.Names:
    """All names of upsamplers."""
    return naming.Names(
        {
            key: naming.Known(cls.title, cls.year, (*cls.aliases, cls.__name__))
            for key, cls in available().items()
        }
    )


def names() -> list[str]:
    """The keys of all upsamplers."""
    return list(available())


def resolve(name: str) -> str:
    """The key of the upsampler with that key, title, class name or alias, whatever the case.

    Raises:
        InputError: There is no such upsampler.
    """
    return naming.resolve("upsampler", name, all_names())


def options(name: str) -> Mapping[str, Any]:
    """The options of the upsampler `name` and their defaults.

    Raises:
        InputError: There is no such upsampler.
    """
    parameters = inspect.signature(available()[resolve(name)]).parameters.values()
    kept = (p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "guide_channels")
    return {p.name: p.default for p in kept}


def create_upsampler(
    name: str,
    channels: int,
    *,
    guide_channels: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **chosen: Any,
) -> Upsampler:
    """Build an upsampler by name, e.g. `create_upsampler("dysample", 64, groups=8)`.

    Args:
        name: One of `names()`, or as papers and code call it.
        channels: Channels of the coarse map.
        guide_channels: Channels of the fine map that it is joined with; None is as many.
        device: Where its parameters are to be; None is torch's default device.
        dtype: Their type; None is torch's default type.
        chosen: Options of the upsampler.

    Raises:
        InputError: The upsampler or one of its options does not exist, or a value is out of range.
    """
    return made(lambda: create(name, channels, guide_channels, chosen), device, dtype)


def create(
    name: str, channels: int, guide_channels: int | None, chosen: Mapping[str, Any]
) -> Upsampler:
    """The same with the options as a mapping, as a text had them.

    Raises:
        InputError: As `create_upsampler`.
    """
    key = resolve(name)
    known = options(key)
    for option in chosen:
        if option not in known:
            raise unknown("option", option, known, f"of upsampler {key!r}")
    return available()[key](channels, guide_channels=guide_channels, **chosen)
