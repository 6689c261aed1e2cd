"""The modules of fightingcv-attention; some differ from the released code of the authors."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Build = Callable[[Any, dict[str, Any]], nn.Module | None]


def _module(file: str, name: str, arguments: Callable[[Any], tuple[Any, ...]]) -> Build:
    """A class of the package, for the default options of our layer."""

    def build(shape: Any, options: dict[str, Any]) -> nn.Module | None:
        if options:
            return None
        found = importlib.import_module(f"fightingcv_attention.attention.{file}")
        return getattr(found, name)(*arguments(shape))

    return build


def _criss_cross(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    if options != {"recurrence": 1}:
        return None
    return _module("CrissCrossAttention", "CrissCrossAttention", lambda shape: (shape[1],))(
        shape, {}
    )


LAYERS: Mapping[str, Build] = {
    "psa_p": _module(
        "PolarizedSelfAttention", "ParallelPolarizedSelfAttention", lambda shape: (shape[1],)
    ),
    "psa_s": _module(
        "PolarizedSelfAttention", "SequentialPolarizedSelfAttention", lambda shape: (shape[1],)
    ),
    "coord": _module("CoordAttention", "CoordAtt", lambda shape: (shape[1], shape[1])),
    "cbam": _module("CBAM", "CBAMBlock", lambda shape: (shape[1], 16, 7)),
    "se": _module("SEAttention", "SEAttention", lambda shape: (shape[1], 16)),
    "eca": _module("ECAAttention", "ECAAttention", lambda shape: ()),
    "acmix": _module("ACmixAttention", "ACmix", lambda shape: (shape[1], shape[1])),
    "crisscross": _criss_cross,
    "axial": _module(
        "Axial_attention", "AxialAttention", lambda shape: (shape[1], 2, 8, None, 1, True)
    ),
    "double": _module(
        "A2Atttention", "DoubleAttention", lambda shape: (shape[1], shape[1] // 4, shape[1] // 4)
    ),
    "shuffle": _module("ShuffleAttention", "ShuffleAttention", lambda shape: (shape[1], 16, 8)),
    "simam": _module("SimAM", "SimAM", lambda shape: ()),
    "triplet": _module("TripletAttention", "TripletAttention", lambda shape: ()),
}
NETWORKS: Mapping[str, Callable[[Any], nn.Module | None]] = {}
