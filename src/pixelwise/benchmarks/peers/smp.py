"""segmentation_models_pytorch: its gate, PAN's parts, and networks on the same backbones.

Its FPN, PSPNet and DeepLabV3+ are left out: by its defaults they are other networks than ours, of
0.7, 0.1 and 0.2 times the operations.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

Build = Callable[[Any, dict[str, Any]], nn.Module | None]


def _part(file: str, name: str) -> Any:
    path = f"segmentation_models_pytorch.{file}".rstrip(".")
    return getattr(importlib.import_module(path), name)


def _scse(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    reduction = options.pop("reduction", 16)
    return None if options else _part("base.modules", "SCSEModule")(shape[1], reduction=reduction)


def _fpa(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    return None if options else _part("decoders.pan.decoder", "FPABlock")(shape[1], shape[1])


def _gau(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    return None if options else _part("decoders.pan.decoder", "GAUBlock")(shape[1], shape[1])


def _network(name: str) -> Callable[[Any], nn.Module | None]:
    def build(ours: Any) -> nn.Module | None:
        config = ours.config
        return _part("", name)(
            encoder_name=f"tu-{config.backbone}",
            encoder_weights=None,
            in_channels=config.in_channels,
            classes=config.num_classes,
        )

    return build


LAYERS: Mapping[str, Build] = {"scse": _scse, "fpa": _fpa, "gau": _gau}
NETWORKS: Mapping[str, Callable[[Any], nn.Module | None]] = {
    "unet": _network("Unet"),
    "pan": _network("PAN"),
}
