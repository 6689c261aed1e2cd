"""openseg.pytorch (MIT): `backbone.*` with ISANet's `isa_head`, or OCRNet's `spatial_ocr_head`.

The backbone is a ResNet whose stem is `resinit`, or an HRNet. Some of its norms are InPlaceABN. All
inputs are blue, green, red; mean and standard deviation are the file's own where it tells them,
else those of the published configurations. `align_corners=True`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.interop import backbones, norms
from pixelwise.interop.backbones import Body
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.layouts.encoding import counters
from pixelwise.interop.layouts.mmseg_config import part
from pixelwise.interop.network import (
    BGR,
    IMAGENET_MEAN,
    IMAGENET_STD,
    CheckpointLayout,
    Foreign,
    begins,
    split,
    width,
)
from pixelwise.layers.shared.parts import INPLACE_ABN_EPS
from pixelwise.networks.config import ModelConfig

State = Mapping[str, Tensor]
RESNET_MEAN = (102.9801, 115.9465, 122.7717)
HEADS = ("isa_head.", "spatial_ocr_head.", "ocr_distri_head.")


class OpenSegLayout(CheckpointLayout):
    """`backbone.*` with `isa_head.*` or an object context head."""

    name: ClassVar[str] = "openseg.pytorch"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is a backbone and one of its heads."""
        found = list(keys)
        return begins(found, "backbone.") and begins(found, *HEADS)

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """ISANet or OCRNet."""
        heads = {key: key for key in checkpoint.state if not key.startswith("backbone.")}
        leaky = _inplace(checkpoint.state, heads)
        state, told = _normed(checkpoint.state, leaky)
        body = _body(state)
        settings = part(checkpoint.meta, "config_dict")
        if begins(heads, "isa_head."):
            arch, last = "isanet", "cls_head"
            state, options, head_told = _isanet(state, part(settings, "network"))
        else:
            arch = "ocrnet"
            last = "cls_head" if begins(heads, "cls_head.") else "head"
            options, head_told = _ocrnet(state), []
        options["activation"] = "leaky_relu" if leaky else "relu"
        resnet = not body.name.startswith("hrnet")
        return Foreign(
            code="openseg.pytorch",
            network=f"{arch} on {body.title}",
            config=ModelConfig(
                arch=arch,
                backbone=body.name,
                num_classes=width(state, f"{last}.weight", f"{last}.bias"),
                in_channels=body.in_channels,
                output_stride=8 if resnet else None,
                multi_grid=_multi_grid(settings),
                backbone_options=body.options,
                options=options,
                align_corners=True,
                bands=BGR,
                **_normalisation(settings, resnet),
            ),
            backbone=body.names,
            decoder={key: key for key in heads if key in state},
            state=state,
            differences=(*told, *head_told, *body.differences),
        )


def _inplace(state: State, heads: Iterable[str]) -> list[str]:
    """Norms of the heads that are InPlaceABN: those of torch lie one level deeper."""
    return [n for n in norms.uncounted({k: state[k] for k in heads}) if not n.endswith(".0")]


def _normed(state: State, leaky: list[str]) -> tuple[State, list[str]]:
    """The state with batch norms in the backbone; the decoder turns its own."""
    if not leaky:
        missing = norms.uncounted(state)
        return norms.counted(state, missing), [counters(missing)] if missing else []
    inside = norms.uncounted({k: v for k, v in state.items() if k.startswith("backbone.")})
    told = (
        f"InPlaceABN: {len(inside) + len(leaky)} norms become batch norms with"
        f" |w| + {INPLACE_ABN_EPS:g}, {len(leaky)} of them with a leaky ReLU behind"
    )
    return norms.plain(state, inside), [told]


def _body(state: State) -> Body:
    keys = split(state, "backbone.resinit.", "backbone.prefix.", "backbone.")
    if begins(keys.values(), "stage4.", "stage3.", "transition1."):
        body = backbones.hrnet(state, keys)
        told = "its HRNet joins branches bilinearly, corners aligned, timm's repeats pixels: kept"
        options = {**body.options, "resize": "bilinear_aligned"}
        return replace(body, options=options, differences=(told,))
    body = backbones.resnet(state, backbones.stem_names(keys))
    told = "its first pooling rounds sizes up, timm's down: kept"
    return replace(body, options={**body.options, "pooling": "ceil"}, differences=(told,))


def _isanet(state: State, settings: Mapping[str, Any]) -> tuple[State, dict[str, Any], list[str]]:
    biased = {f"{name}.0": _norm(state, f"{name}.1") for name in ("isa_head", "dsn_head")}
    folded = [name for name in biased if f"{name}.bias" in state]
    state = norms.without_biases(state, biased)
    stages = {key.split(".")[3] for key in state if key.startswith("isa_head.2.stages.")}
    factors = settings.get("factors") or [[8, 8]]
    if len(factors) != len(stages):
        raise InputError(
            f"openseg, ISANet: its {len(stages)} pairs of steps have cells that the file does not"
            " tell; take a checkpoint with one pair"
        )
    start = "isa_head.2.stages.0.long_range_sa.f_query"
    options: dict[str, Any] = {
        "width": width(state, "isa_head.0.weight"),
        "key_width": width(state, f"{start}.0.weight", f"{start}.2.weight"),
        "down_factors": tuple(tuple(pair) for pair in factors),
        "auxiliary": begins(state, "dsn_head."),
    }
    if options["auxiliary"]:
        options["auxiliary_width"] = width(state, "dsn_head.0.weight")
    told = [f"{len(folded)} biases before norms become part of their means"] if folded else []
    if "factors" not in settings:
        told.append("cells of 8x8 pixels, as in the published configurations")
    return state, options, told


def _norm(state: State, name: str) -> str:
    return f"{name}.0" if f"{name}.0.running_mean" in state else name


def _ocrnet(state: State) -> dict[str, Any]:
    last = begins(state, "spatial_ocr_head.")
    context = "spatial_ocr_head" if last else "ocr_distri_head"
    regions = "dsn_head" if begins(state, "dsn_head.") else "aux_head"
    names = ("conv_3x3", "conv3x3_ocr", "conv3x3")
    reduce = next((name for name in names if begins(state, f"{name}.")), names[0])
    start = f"{context}.object_context_block.f_pixel"
    inner = [f"{context}.object_context_block.{name}.0.bias" for name in ("f_pixel", "f_object")]
    return {
        "features": "last" if last else "all",
        "width": width(state, f"{reduce}.0.weight"),
        "key_width": width(state, f"{start}.0.weight", f"{start}.2.weight"),
        "region_width": width(state, f"{regions}.0.weight"),
        "region_kernel": width(state, f"{regions}.0.weight", axis=2),
        "bias": any(f"{name}.0.bias" in state for name in (reduce, regions)),
        "context_bias": any(key in state for key in inner),
    }


def _multi_grid(settings: Mapping[str, Any]) -> tuple[int, ...] | None:
    grid = part(settings, "network").get("multi_grid")
    if grid is None or set(grid) == {1}:
        return None
    return tuple(4 * factor for factor in grid)


def _normalisation(settings: Mapping[str, Any], resnet: bool) -> dict[str, Any]:
    given = part(settings, "normalize")
    if given.get("mean") and given.get("std"):
        scale = float(given.get("div_value") or 1.0)
        return {"mean": tuple(given["mean"]), "std": tuple(given["std"]), "scale": scale}
    if resnet:
        return {"mean": RESNET_MEAN, "std": (1.0, 1.0, 1.0), "scale": 1.0}
    return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
