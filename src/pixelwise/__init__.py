"""Attention for pixel-wise prediction.

The doors are loaded when first used: importing the package starts nothing and takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pixelwise.release import VERSION

if TYPE_CHECKING:
    from pixelwise.allocation import keep_freed_memory
    from pixelwise.compiling.per_mode import compiled
    from pixelwise.explanation.explain import explain
    from pixelwise.export.exporting import export
    from pixelwise.folding import fold, foldable
    from pixelwise.insertion.insert import insert
    from pixelwise.insertion.verifying import verify
    from pixelwise.interop.load import load
    from pixelwise.layers.registry import create_layer
    from pixelwise.layers.registry import names as list_layers
    from pixelwise.layers.upsampling.registry import create_upsampler
    from pixelwise.layers.upsampling.registry import names as list_upsamplers
    from pixelwise.networks.factory import create_model
    from pixelwise.networks.registry import names as list_models
    from pixelwise.train.averaging import average_checkpoints

__all__ = [
    "average_checkpoints",
    "compiled",
    "create_layer",
    "create_model",
    "create_upsampler",
    "explain",
    "export",
    "fold",
    "foldable",
    "insert",
    "keep_freed_memory",
    "list_layers",
    "list_models",
    "list_upsamplers",
    "load",
    "verify",
]
__version__ = VERSION

_DOORS = {
    "average_checkpoints": ("pixelwise.train.averaging", "average_checkpoints"),
    "compiled": ("pixelwise.compiling.per_mode", "compiled"),
    "fold": ("pixelwise.folding", "fold"),
    "foldable": ("pixelwise.folding", "foldable"),
    "explain": ("pixelwise.explanation.explain", "explain"),
    "insert": ("pixelwise.insertion.insert", "insert"),
    "keep_freed_memory": ("pixelwise.allocation", "keep_freed_memory"),
    "create_layer": ("pixelwise.layers.registry", "create_layer"),
    "list_layers": ("pixelwise.layers.registry", "names"),
    "create_upsampler": ("pixelwise.layers.upsampling.registry", "create_upsampler"),
    "list_upsamplers": ("pixelwise.layers.upsampling.registry", "names"),
    "create_model": ("pixelwise.networks.factory", "create_model"),
    "list_models": ("pixelwise.networks.registry", "names"),
    "load": ("pixelwise.interop.load", "load"),
    "verify": ("pixelwise.insertion.verifying", "verify"),
}


def __getattr__(name: str) -> Any:
    if name == "export":  # a room that is called
        return importlib.import_module("pixelwise.export")
    if name not in _DOORS:
        raise AttributeError(f"module 'pixelwise' has no attribute {name!r}")
    module, attribute = _DOORS[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *_DOORS, "export"]
