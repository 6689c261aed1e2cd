"""Find decoders by name: a file in `decoders/` is enough."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any, get_type_hints

from pixelwise import naming
from pixelwise.errors import InputError, unknown
from pixelwise.kinds import described, fits_type
from pixelwise.networks import decoders
from pixelwise.networks.base import Decoder
from pixelwise.networks.config_file import expected, shown
from pixelwise.networks.elsewhere import ELSEWHERE
from pixelwise.networks.zoo import ZOO


@functools.cache
def available() -> Mapping[str, type[Decoder]]:
    """Key -> decoder class."""
    found: dict[str, type[Decoder]] = {}
    for module in pkgutil.iter_modules(decoders.__path__, decoders.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and issubclass(value, Decoder):
                check_decoder(value, found)
                found[value.key] = value
    return dict(sorted(found.items()))


def check_decoder(kind: type[Decoder], others: Mapping[str, type[Decoder]]) -> None:
    """Raise where a decoder class lacks what `create_model` and `pixelwise models` ask of it."""
    where = f"{kind.__module__}.{kind.__name__}"
    for name in ("key", "title", "year", "summary", "source"):
        if name not in vars(kind):
            raise InputError(f"{where}: {name} is missing; write {name} = ... in the class")
    if kind.key in others:
        raise InputError(
            f"{where}: key={kind.key!r}: taken by {others[kind.key].__module__}; take another"
        )
    first, second, *rest = inspect.signature(kind).parameters.values()
    keywords = all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in rest)
    if (first.name, second.name) != ("channels", "outputs") or not keywords:
        raise InputError(
            f"{where}: a decoder takes channels, outputs and keyword-only options; write"
            " __init__(self, channels, outputs, *, option=default)"
        )


def names() -> list[str]:
    """The keys of all networks, and the names of published combinations."""
    return sorted([*available(), *ZOO])


@functools.cache
def all_names() -> naming.Names:
    """All names of networks and published combinations, and of networks that are not here."""
    own = {
        key: naming.Known(cls.title, cls.year, (*cls.aliases, cls.__name__))
        for key, cls in available().items()
    }
    own |= {key: naming.Known(one.title, one.year, one.aliases) for key, one in ZOO.items()}
    return naming.Names(own, ELSEWHERE)


def resolve(name: str) -> str:
    """The key of the network with that key, title, class name or alias, whatever the case.

    Raises:
        InputError: There is no such network, or several.
    """
    return naming.resolve("model", name, all_names())


def decoder_named(name: str) -> type[Decoder]:
    """The decoder class of that name."""
    key = resolve(name)
    if key not in available():
        raise unknown("model", name, names())
    return available()[key]


def check_options(key: str, options: Mapping[str, Any]) -> None:
    """Raise where `options` holds a name that the decoder does not have."""
    parameters = inspect.signature(decoder_named(key)).parameters.values()
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in options:
        if name == "upsampler" and name not in known:
            taking = [k for k, c in available().items() if name in inspect.signature(c).parameters]
            raise InputError(
                f"option='upsampler': model {key!r} has none to choose; leave it out, or take one"
                f" of {', '.join(taking)}"
            )
        if name not in known:
            error = unknown("option", name, known, f"of model {key!r}")
            raise (
                error
                if known
                else InputError(f"option={name!r}: model {key!r} has no options; leave it out")
            )


def check_option_types(key: str, options: Mapping[str, Any]) -> None:
    """Raise where a value that was read from a file is not of the option's type."""
    check_options(key, options)
    hints = get_type_hints(decoder_named(key).__init__)
    for name, value in options.items():
        if not fits_type(value, hints[name]):
            rule = f"must be {described(hints[name])}"
            raise InputError(f"option {name}={shown(value)}: {rule}; {expected()}")
