"""mmsegmentation's heads and the modules in them (the package, or its fork that installs).

A network is our backbone followed by their head. What needs its compiled operators is not here.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

Build = Callable[[Any, dict[str, Any]], nn.Module | None]
NORM = {"norm_cfg": {"type": "BN"}}
STYLE = {"conv_cfg": None, "act_cfg": {"type": "ReLU"}, **NORM}


class Second(nn.Module):
    """The second of the things that a module returns."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Drop the first."""
        return self.module(x)[1]


class Bare(nn.Module):
    """The attention in a head, without the convolutions before and after it."""

    def __init__(self, head: Any, *around: str) -> None:
        super().__init__()
        for name in (*around, "conv_seg"):
            setattr(head, name, nn.Identity())
        head.dropout = None
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Run the head on one map."""
        return self.head([x])


class ObjectContext(nn.Module):
    """Regions, and the attention to them."""

    def __init__(self, gather: nn.Module, attend: nn.Module) -> None:
        super().__init__()
        self.gather, self.attend = gather, attend

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Gather by the guide, then attend."""
        return self.attend(x, self.gather(x, guide))


class Network(nn.Module):
    """A backbone, one or two heads, and the first head's logits at the input's size."""

    def __init__(self, backbone: nn.Module, *heads: nn.Module) -> None:
        super().__init__()
        self.backbone, self.heads = backbone, nn.ModuleList(heads)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        features = self.backbone(image)
        logits = self.heads[0](features)
        for head in self.heads[1:]:
            logits = head(features, logits)
        if not isinstance(logits, Tensor):
            logits = logits[0]
        return F.interpolate(logits, image.shape[2:], mode="bilinear", align_corners=False)


def _head(name: str) -> Any:
    return getattr(importlib.import_module("mmseg.models.decode_heads"), name)


def _part(file: str, name: str) -> Any:
    return getattr(importlib.import_module(f"mmseg.models.decode_heads.{file}"), name)


def _brick(name: str) -> Any:
    return getattr(importlib.import_module("mmcv.cnn.bricks"), name)


def _pam(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    hidden = shape[1] // options.pop("reduction", 8)
    return None if options else _part("da_head", "PAM")(shape[1], hidden)


def _cam(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    return None if options else _part("da_head", "CAM")()


def _isa(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    if options:
        return None
    width = {"in_channels": shape[1], "channels": shape[1], "num_classes": shape[1]}
    head = _head("ISAHead")(isa_channels=shape[1] // 2, in_index=0, **width, **NORM)
    return Bare(head, "in_conv")


def _ema(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    if options:
        return None
    width = {"in_channels": shape[1], "channels": shape[1], "num_classes": shape[1]}
    steps = {"ema_channels": shape[1], "num_bases": 64, "num_stages": 3}
    head = _head("EMAHead")(concat_input=False, in_index=0, **steps, **width, **NORM)
    return Bare(head, "ema_in_conv", "bottleneck")


def _non_local(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    mode = options.pop("mode", "embedded_gaussian")
    reduction = options.pop("reduction", 2)
    return None if options else _brick("NonLocal2d")(shape[1], reduction=reduction, mode=mode)


def _dnl(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    if options:
        return None
    module = _part("dnl_head", "DisentangledNonLocal2d")
    return module(in_channels=shape[1], reduction=2, temperature=0.05, mode="embedded_gaussian")


def _gc(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    ratio = 1 / options.pop("reduction", 4)
    return None if options else _brick("ContextBlock")(shape[1], ratio=ratio)


def _encoding(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    codes = options.pop("codes", 32)
    return None if options else Second(_part("enc_head", "EncModule")(shape[1], codes, **STYLE))


def _ocr(shape: Any, options: dict[str, Any]) -> nn.Module | None:
    if options:
        return None
    attend = _part("ocr_head", "ObjectAttentionBlock")(shape[1], shape[1] // 2, 1, **STYLE)
    return ObjectContext(_part("ocr_head", "SpatialGatherModule")(1), attend)


LAYERS: Mapping[str, Build] = {
    "pam": _pam,
    "cam": _cam,
    "isa": _isa,
    "ema": _ema,
    "nonlocal": _non_local,
    "dnl": _dnl,
    "gc": _gc,
    "encoding": _encoding,
    "ocr": _ocr,
}


def _network(name: str, **own: Any) -> Callable[[Any], nn.Module | None]:
    """The head on the last feature map, a quarter as wide, as their configs have it."""

    def build(ours: Any) -> nn.Module | None:
        last = ours.backbone.channels[-1]
        common = {"in_index": -1, "channels": last // 4, "num_classes": ours.config.num_classes}
        given = {key: value(last) if callable(value) else value for key, value in own.items()}
        head = _head(name)(**{"in_channels": last, **common, **NORM, **given})
        return Network(ours.backbone, head)

    return build


def _several(name: str, count: int, **own: Any) -> Callable[[Any], nn.Module | None]:
    """The head on the last `count` feature maps."""

    def build(ours: Any) -> nn.Module | None:
        widths = list(ours.backbone.channels[-count:])
        taken = list(range(-count, 0))
        return _network(name, in_channels=widths, in_index=taken, **own)(ours)

    return build


def _ocrnet(ours: Any) -> nn.Module | None:
    before, last = ours.backbone.channels[-2:]
    common = {"num_classes": ours.config.num_classes, **NORM}
    rough = _head("FCNHead")(
        in_channels=before,
        in_index=-2,
        channels=before // 2,
        num_convs=1,
        concat_input=False,
        **common,
    )
    head = _head("OCRHead")(in_channels=last, in_index=-1, channels=512, ocr_channels=256, **common)
    return Network(ours.backbone, rough, head)


NETWORKS: Mapping[str, Callable[[Any], nn.Module | None]] = {
    "danet": _network("DAHead", pam_channels=lambda last: last // 32),
    "isanet": _network("ISAHead", isa_channels=lambda last: last // 8),
    "encnet": _several("EncHead", 3),
    "nonlocal": _network("NLHead"),
    "gcnet": _network("GCHead"),
    "dnlnet": _network("DNLHead"),
    "emanet": _network(
        "EMAHead",
        ema_channels=512,
        num_bases=64,
        num_stages=3,
        channels=256,
        concat_input=False,
    ),
    "ann": _several("ANNHead", 2, project_channels=256),
    "apcnet": _network("APCHead"),
    "dmnet": _network("DMHead"),
    "pspnet": _network("PSPHead"),
    "ocrnet": _ocrnet,
}
