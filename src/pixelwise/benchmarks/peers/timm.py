"""timm's attention modules."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Build = Callable[[Any, dict[str, Any]], nn.Module | None]


def _se(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers import SqueezeExcite

    rate = 1 / options.pop("reduction", 16)
    return None if options else SqueezeExcite(shape[1], rd_ratio=rate, rd_divisor=1)


def _eca(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers import EcaModule

    return None if options else EcaModule(shape[1])


def _cbam(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers.cbam import CbamModule

    rate = 1 / options.pop("reduction", 16)
    return None if options else CbamModule(shape[1], rd_ratio=rate, rd_divisor=1)


def _coord(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers.coord_attn import CoordAttn

    rate = 1 / options.pop("reduction", 32)
    return None if options else CoordAttn(shape[1], rd_ratio=rate)


def _gc(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers import GlobalContext

    hidden = shape[1] // options.pop("reduction", 4)
    if options:
        return None
    return GlobalContext(shape[1], rd_channels=hidden, fuse_add=True, fuse_scale=False)


def _non_local(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers import NonLocalAttn

    hidden = shape[1] // options.pop("reduction", 2)
    mode = options.pop("mode", "embedded_gaussian")
    return (
        None
        if options or mode != "embedded_gaussian"
        else NonLocalAttn(shape[1], rd_channels=hidden)
    )


def _sk(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers import SelectiveKernel

    return None if options else SelectiveKernel(shape[1], split_input=False, rd_divisor=32)


def _ela(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers.coord_attn import EfficientLocalAttn

    return None if options else EfficientLocalAttn(shape[1])


def _strip(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers.coord_attn import StripAttn

    return None if options else StripAttn(shape[1])


def _scoord(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    from timm.layers.coord_attn import SimpleCoordAttn

    return None if options else SimpleCoordAttn(shape[1])


LAYERS: Mapping[str, Build] = {
    "se": _se,
    "eca": _eca,
    "cbam": _cbam,
    "coord": _coord,
    "gc": _gc,
    "nonlocal": _non_local,
    "sk": _sk,
    "ela": _ela,
    "strip": _strip,
    "scoord": _scoord,
}
NETWORKS: Mapping[str, Callable[[Any], nn.Module | None]] = {}
