"""What studies/export_matrix.py exports: every layer and network, with the options that matter."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.layers.base import FusionLayer
from pixelwise.layers.registry import available, create
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import names

CHANNELS = 32
SIZES = {
    "layer": {
        "sample": (2, 24, 32),
        "odd": (2, 17, 29),
        "small": (2, 5, 6),
        "wide": (1, 12, 80),
        "batch": (3, 24, 32),
    },
    "network": {
        "sample": (2, 64, 96),
        "odd": (2, 97, 65),
        "small": (2, 20, 17),
        "wide": (1, 32, 224),
        "batch": (3, 64, 96),
    },
}
"""Batch, height and width; "small" is less than a window of a layer or the stride of a network."""

LAYER_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "acmix": [{"kernel_size": 3, "stride": 2}],
    "acmix_window": [{"window_size": (4, 7), "shift": 3}],
    "agent": [{"reduction": 2}],
    "axial": [{"sequential": True}],
    "bam": [{"variant": "paper"}],
    "cbam": [{"pools": ("lse", "lp")}, {"spatial": False}],
    "conv": [{"cell": (4, 3)}, {"width": None, "bias": False, "repeats": 2}],
    "coord": [{"shared": True}],
    "cot": [{"variant": "coxt"}],
    "crisscross": [{"recurrence": 1}],
    "dat": [{"position": p} for p in ("network", "convolution")] + [{"moved": False}],
    "deform": [{"stride": 2}, {"modulation": False}, {"groups": 2, "offset_groups": 4}],
    "dnl": [{"mode": m} for m in ("dot_product", "concatenation")],
    "ema": [{"variant": "mmsegmentation"}],
    "external": [{"form": f} for f in ("heads", "bare")],
    "focal": [{"normalise": True}],
    "fpa": [{"variant": "javeywang"}],
    "gate": [{"stride": 1, "compare_norm": True}, {"normalise": "softmax"}, {"normalise": "range"}],
    "gau": [{"variant": "javeywang"}, {"interpolation": "nearest"}],
    "gc": [{"pooling": "avg"}, {"fusions": ("mul",)}],
    "hamburger": [{"groups": 2}],
    "isa": [{"down_factors": ((8, 8), (4, 2))}],
    "lka": [{"projected": True}],
    "lsk": [{"projected": True}],
    "mlca": [{"bins": 4}],
    "natten": [{"dilation": 2}, {"stride": 2}, {"causal": True}],
    "nonlocal": [
        *({"mode": m} for m in ("gaussian", "dot_product", "concatenation")),
        {"sub_sample": True},
    ],
    "ocr": [{"pool": 2}],
    "pam": [{"variant": "untransposed"}],
    "psa_p": [{"variant": "paper"}],
    "psa_s": [{"variant": "paper"}],
    "psanet": [{"mask_size": (15, 11)}, {"softmax": False}, {"variant": "mmsegmentation"}],
    "scsa": [{"window_size": None}],
    "scse": [{"fusion": "max"}],
    "se": [{"add_max": True}],
    "self_attention": [{"pool": 2}],
    "sk": [{"split": True}],
    "spd": [{"factor": 3}],
    "ss2d": [{"route": "rows_both_ways", "states": 1}, {"norm": "convolution", "gate": "none"}],
}
"""Beside the default options: those that change what is computed, not only its width."""

NETWORK_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "fcn": [{"features": "all", "concatenate": True}],
    "bisenetv2": [{"variant": "mmsegmentation"}],
    "deeplabv3plus": [{"variant": "smp"}],
    "fpn": [{"group_norm": True}],
    "isanet": [{"variant": "article"}],
    "ocrnet": [{"scales": (0.5, 1.0)}],
    "pan": [{"variant": "javeywang"}],
    "unet": [{"up_convolutions": True}],
}
BACKBONE = "test_resnet"
BACKBONES = ("convnext_atto", "mobilenetv3_small_050", "test_efficientnet", "hrnet_w18_small")
"""Other families, under `fcn`."""
SWIN = "swin_tiny_patch4_window7_224"
SMALL_SWIN = {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)}
SMALL_VIT = {"embed_dim": 32, "depth": 4, "num_heads": 2}
OWN: dict[str, dict[str, Any]] = {
    "segformer": {"backbone": "mit_b0"},
    "segnext": {"backbone": "mscan_t"},
    "dpt": {"backbone": "vit_tiny_patch16_224", "backbone_options": SMALL_VIT},
    "setr": {"backbone": "vit_tiny_patch16_224", "backbone_options": SMALL_VIT},
}
"""Networks on a backbone of the kind that they were made for."""
LEAST = {"acmix_resnet": 32}
"""Rows and columns of an image at least, where a layer inside has a limit."""
ATTENTION = ("psa_s", "isa", "acmix_window")
"""Layers in a backbone, under `fcn`: after the last two stages."""


@dataclass(frozen=True)
class Case:
    """One layer or network to be exported."""

    kind: str
    key: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Kind and name; a layer and a network may have the same name."""
        return f"{self.kind}: {self.name}"

    @property
    def name(self) -> str:
        """As docs/export-matrix.md has it."""
        return ", ".join([self.key, *(f"{name}={value!r}" for name, value in self.options.items())])

    def built(self) -> nn.Module:
        """With weights that all matter: none is zero, where it would hide what comes before it."""
        torch.manual_seed(0)
        if self.kind == "layer":
            model: nn.Module = create(self.key, CHANNELS, **self.options)
        else:
            given: dict[str, Any] = {"backbone": BACKBONE} | self.options
            model = create_model(self.key, num_classes=3, **given)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() < 2 or not parameter.any():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer.add_(0.1 * torch.randn_like(buffer))
        return model.eval()

    def inputs(self, model: nn.Module, size: str) -> tuple[Tensor, ...]:
        """What the model takes at one of its sizes, or at the next that its limits allow."""
        batch, height, width = SIZES[self.kind][size]
        generator = torch.Generator().manual_seed(height)
        if self.kind == "network":
            least = LEAST.get(self.key, 1)
            shape = batch, 3, max(height, least), max(width, least)
            return (torch.randn(shape, generator=generator),)
        least, multiple, _ = model.limits  # type: ignore[misc]
        if self.key == "gau" and "variant" in self.options:
            multiple = 2  # of the rows and columns of the guide
        height, width = (-(-max(s, least) // multiple) * multiple for s in (height, width))
        x = torch.randn(batch, CHANNELS, height, width, generator=generator)
        if not isinstance(model, FusionLayer):
            return (x,)
        return x, guide_of(self.key, x)


def guide_of(key: str, x: Tensor) -> Tensor:
    """The second input of a layer that takes two."""
    if key == "ocr":  # rough logits of five classes
        return 1.5 * x[:, :5].flip(2, 3)
    return x[:, :, ::2, ::2].cos().contiguous()  # coarse features


def cases() -> list[Case]:
    """Every layer, then every network."""
    layers = [
        Case("layer", key, options)
        for key in available()
        for options in ({}, *LAYER_OPTIONS.get(key, ()))
    ]
    networks = [
        Case("network", key, options)
        for key in names()
        for options in ({}, *NETWORK_OPTIONS.get(key, ()))
    ]
    on_hrnet = [
        Case("network", key, {"backbone": "hrnet_w18_small"}) for key in names() if "hrnet" in key
    ]
    on_own = [Case("network", key, options) for key, options in OWN.items()]
    under_fcn = [{"backbone": backbone} for backbone in BACKBONES]
    swin = [{"backbone": SWIN, "backbone_options": SMALL_SWIN}]
    inside = [{"attention": f"{key}@3,4"} for key in ATTENTION]
    families = [Case("network", "fcn", one) for one in itertools.chain(under_fcn, swin, inside)]
    return [*layers, *networks, *on_hrnet, *on_own, *families]
