"""Find decoders by name: a file in `decoders/` is enough."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from pixelwise.errors import InputError, unknown
from pixelwise.networks import decoders
from pixelwise.networks.base import Decoder
from pixelwise.networks.zoo import ZOO


@functools.cache
def available() -> Mapping[str, type[Decoder]]:
    """Key -> decoder class."""
    found: dict[str, type[Decoder]] = {}
    for module in pkgutil.iter_modules(decoders.__path__, decoders.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Decoder) and "key" in vars(value):
                found[value.key] = value
    return dict(sorted(found.items()))


def names() -> list[str]:
    """The keys of all networks, and the names of published combinations."""
    return sorted([*available(), *ZOO])


def decoder_named(key: str) -> type[Decoder]:
    """The decoder class of that name."""
    if key not in available():
        raise unknown("model", key, names())
    return available()[key]


def check_options(key: str, options: Mapping[str, Any]) -> None:
    """Raise where `options` holds a name that the decoder does not have."""
    parameters = inspect.signature(decoder_named(key)).parameters.values()
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            error = unknown("option", name, known, f"of model {key!r}")
            raise error if known else InputError(f"model {key!r} has no options, got {name!r}")
