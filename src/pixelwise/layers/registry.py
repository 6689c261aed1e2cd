"""Find layers by name: a file in this package, or an installed plugin, is enough."""

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

import torch

from pixelwise import layers, naming, notes
from pixelwise.errors import InputError, unknown
from pixelwise.layers.aliases import MORE, SHARED
from pixelwise.layers.base import Layer
from pixelwise.layers.elsewhere import ELSEWHERE
from pixelwise.layers.made import made
from pixelwise.layers.memory import limit_memory
from pixelwise.layers.upsampling import registry as upsamplers


def _concrete(cls: type[Layer]) -> Iterator[type[Layer]]:
    if "key" in vars(cls):
        yield cls
    for child in cls.__subclasses__():
        yield from _concrete(child)


@functools.cache
def available() -> Mapping[str, type[Layer]]:
    """Key -> class, for every layer here and in plugins (entry points `pixelwise.layers`)."""
    for module in pkgutil.iter_modules(layers.__path__, layers.__name__ + "."):
        importlib.import_module(module.name)
    for plugin in entry_points(group="pixelwise.layers"):
        plugin.load()
    found: dict[str, type[Layer]] = {}
    for cls in _concrete(Layer):
        if other := found.get(cls.key):
            raise ImportError(f"layer key {cls.key!r} is taken twice: by {other} and by {cls}")
        found[cls.key] = cls
    return dict(sorted(found.items()))


@functools.cache
def all_names() -> naming.Names:
    """All names of layers, and of mechanisms that are none here."""
    known = {
        key: naming.Known(
            cls.title, cls.year, (*cls.aliases, *MORE.get(key, ()), cls.__name__, *_paper(cls))
        )
        for key, cls in available().items()
    }
    return naming.Names(known, ELSEWHERE, SHARED)


def _paper(cls: type[Layer]) -> list[str]:
    """The title of its paper, which the module's docstring has under "Source:"."""
    about = inspect.getdoc(inspect.getmodule(cls)) or ""
    source = " ".join(about.partition("Source:")[2].partition("Reference:")[0].split())
    return [title for title in re.findall('"([^"]+)"', source) if " " in title][:1]


def resolve(name: str | type[Layer], said: str = "layer") -> str:
    """The key of the layer with that key, title, class name or alias, whatever the case.

    This is the one place that reads names of layers. A layer's class stands for its key.

    Args:
        name: As it is written.
        said: What the user calls it, for messages, such as "attention".

    Raises:
        InputError: There is no such layer, or several.
    """
    if isinstance(name, type) and name in available().values():
        return name.key
    if isinstance(name, str) and not naming.meanings(name, all_names()):
        _refuse_upsampler(name, said)
    return naming.resolve("layer", name, all_names(), said)


def _refuse_upsampler(name: str, said: str) -> None:
    """Raise where a name that no layer has is that of an upsampler, or nearest to one."""
    kinds = upsamplers.all_names()
    rule = "is an upsampler, which takes a coarse and a fine map, and no layer"
    found = naming.meanings(name, kinds)
    if not found:
        close, key = naming.nearest(name, kinds)
        if close <= max(naming.CLOSE, naming.nearest(name, all_names())[0]):
            return
        found, rule = [key], f"unknown layer; did you mean the upsampler {key!r}?"
    remedy = (
        f"make it with pixelwise.create_upsampler({found[0]!r}, channels), or give a network"
        f" upsampler={found[0]!r}"
    )
    if rule.endswith("?"):
        raise InputError(f"{said}={name!r}: {rule} {remedy[0].upper()}{remedy[1:]}")
    raise InputError(f"{said}={name!r}: {rule}; {remedy}")


def asked(name: str | type[Layer], said: str = "layer") -> str:
    """`resolve` for a name that somebody typed: notes once where most mean another layer by it."""
    key, names = resolve(name, said), all_names()
    if isinstance(name, str) and naming.is_taken_for_another(key, names):
        if naming.folded(name) == naming.folded(key):
            notes.once(key, f"{said}={name!r}: {naming.mistaken(key, names)}")
        notes.needs_none(key)
    return key


def options(name: str) -> Mapping[str, Any]:
    """The options of the layer `name` and their defaults.

    Raises:
        InputError: There is no such layer.
    """
    parameters = inspect.signature(available()[resolve(name)]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def create(
    key: str | type[Layer],
    channels: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_memory: int | str | None = None,
    **chosen: Any,
) -> Layer:
    """Build a layer by key, e.g. `create("gc", 64, reduction=8)`.

    Args:
        key: Name of the layer: one of `names()`, or as papers and code call it.
        channels: Channels of its input.
        device: Where its parameters are to be; None is torch's default device.
        dtype: Their type; None is torch's default type.
        max_memory: Bytes, or e.g. "2GB", for the weights of pairs of pixels that exist at a time;
            None is as measured to be fastest. The maps themselves come on top: `cost.predict`
            tells the whole.
        chosen: Options of the layer.

    Raises:
        InputError: The layer or one of its options does not exist, or a value is out of range.
    """
    key = resolve(key)
    takes = options(key)
    for name in chosen:
        if name not in takes:
            raise unknown("option", name, takes, f"of layer {key!r}")
    layer = made(lambda: available()[key](channels, **chosen), device, dtype)
    limit_memory(layer, max_memory)
    return layer


def create_layer(
    key: str | type[Layer],
    channels: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    max_memory: int | str | None = None,
    **chosen: Any,
) -> Layer:
    """Build a layer by name, e.g. `create_layer("gc", 64, reduction=8)`.

    `functools.partial(create_layer, "gc")` is what timm takes as `attn_layer`. The arguments are
    those of `create`. Where most people mean something else by the name, as by "ema", an
    `AmbiguousName` warning says once what it is here.

    Raises:
        InputError: The layer or one of its options does not exist, a value is out of range, or the
            name alone cannot decide which layer is meant.
    """
    key = asked(key)
    return create(key, channels, device=device, dtype=dtype, max_memory=max_memory, **chosen)


def names() -> list[str]:
    """The keys of all layers."""
    return list(available())
