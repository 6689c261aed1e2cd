"""mmsegmentation 0.x and 1.x (Apache-2.0): `backbone.*`, `decode_head.*`, `auxiliary_head.*`.

What tensors cannot tell (how maps are resized, output strides, pooling scales without weights) is
taken from the configuration that such files carry as text; where there is none, from the published
configurations, and said.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from pixelwise.errors import InputError
from pixelwise.interop import backbones, transformers
from pixelwise.interop.backbones import Body
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.layouts.mmseg_config import parse, part
from pixelwise.interop.layouts.mmseg_heads import SIGNATURES, Config, Head, State, conv_width
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
from pixelwise.networks.config import ModelConfig


class MMSegmentationLayout(CheckpointLayout):
    """`backbone.*`, `decode_head.*`, `auxiliary_head.*`."""

    name: ClassVar[str] = "mmsegmentation"

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether there is a decode head and a backbone."""
        found = list(keys)
        return begins(found, "decode_head.") and begins(found, "backbone.")

    def read(self, checkpoint: Checkpoint) -> Foreign:
        """The network, from its tensors and its configuration."""
        state, meta = checkpoint.state, checkpoint.meta.get("meta") or {}
        config = parse(meta)
        model = part(config, "model")
        found = _network(state, model)
        outputs = width(state, *found.classifiers)
        body_config = part(model, "backbone")
        body = _body(state, body_config)
        stride = _stride(body, body_config, found.head.arch)
        align = part(model, *found.place).get("align_corners")
        normalisation, told = _input(config)
        assumed = list(found.head.assumed)
        if stride == 8 and "strides" not in body_config:
            assumed.append("output stride 8")
        if align is None:
            assumed.append("align_corners=False (published networks for 769x769 have True)")
        if assumed:
            told += (f"not told by the file, so as published: {'; '.join(assumed)}",)
        return Foreign(
            code=f"mmsegmentation {_version(meta)}",
            network=f"{found.head.arch} on {body.title}",
            config=ModelConfig(
                arch=found.head.arch,
                backbone=body.name,
                num_classes=outputs,
                in_channels=body.in_channels,
                task="binary" if outputs == 1 else "multiclass",
                output_stride=stride,
                multi_grid=_multi_grid(body_config),
                backbone_options=body.options,
                options=found.head.options,
                align_corners=bool(align),
                **described(meta, outputs),
                **normalisation,
            ),
            backbone=body.names,
            decoder=found.keys,
            state=state,
            differences=(*found.head.differences, *body.differences, *told),
            left_out=found.left_out,
        )


SIDE = ("auxiliary_head.convs.0.conv.weight", "auxiliary_head.convs.0.bn.weight")
UNDILATED = ("fpn", "upernet")
"""Networks published on a ResNet with its own strides."""
WITHOUT_SIDE = ("segformer", "segnext", "dpt", "setr")
"""Networks that have no auxiliary head here."""
FREE_SIDE = ("ccnet", "isanet", "upernet")
"""Networks whose auxiliary head may have any width; the others' has a quarter of its input's."""


TRANSFORMERS = {
    "patch_embed.": "Swin",
    "downsample_layers.": "ConvNeXt",
}
"""What the keys of backbones begin with that are not read."""


class Found(NamedTuple):
    """A head with what belongs to it."""

    head: Head
    place: tuple[str | int, ...]
    """Where its configuration lies."""
    keys: dict[str, str]
    """Key in the file -> the decoder's."""
    classifiers: tuple[str, ...]
    """Keys that have a row per class."""
    left_out: tuple[str, ...] = ()


def _network(state: State, model: Config) -> Found:
    if begins(state, "backbone.detail."):
        return _bisenetv2(state)
    if begins(state, "decode_head.1."):
        return _cascade(state, model)
    keys = split(state, "decode_head.")
    inside = {inner: state[key] for key, inner in keys.items()}
    read = next((r for names, r in SIGNATURES if begins(inside, *names)), None)
    if read is None:
        heads = ", ".join(sorted({key.split(".")[0] for key in inside})[:8])
        raise InputError(
            f"mmsegmentation: its head is not known, with the parts {heads}; take a"
            " checkpoint that docs/checkpoints.md lists"
        )
    head = read(inside, part(model, "decode_head"))
    if begins(state, "backbone.stage4.", "backbone.stage3."):
        if head.arch != "fcn":
            raise InputError(
                f"mmsegmentation, {head.arch}: on an HRNet it is not known; take a checkpoint of"
                " fcn or ocrnet on an HRNet"
            )
        head.options["features"] = "all"
    necks = split(state, "neck.")
    if head.arch == "fpn":
        head.options["neck"] = conv_width(state, "neck.lateral_convs.0") if necks else None
        keys |= {key: key for key in necks}
    side = split(state, "auxiliary_head.")
    left_out: tuple[str, ...] = ()
    classifiers = ("decode_head.conv_seg.weight", "decode_head.conv_seg.bias")
    if begins(inside, "linear_pred."):  # the authors' SegFormer, whose conv_seg is not used
        unused = [key for key in keys if key in classifiers]
        keys = {key: inner for key, inner in keys.items() if key not in unused}
        classifiers = ("decode_head.linear_pred.weight", "decode_head.linear_pred.bias")
        left_out = tuple(unused)
    elif head.arch in WITHOUT_SIDE:
        left_out = tuple(side)
    elif head.arch != "fpn":
        dilated = part(model, "auxiliary_head").get("dilation", 1) != 1
        head, left_out = _with_auxiliary(head, state, dilated)
        keys |= {key: key for key in side if key not in left_out}
    if any(key in side for key in left_out):
        told = f"the auxiliary head, used in training alone, is left out ({len(left_out)} tensors)"
        head = head._replace(differences=(*head.differences, told))
    return Found(head, ("decode_head",), keys, classifiers, left_out)


def _with_auxiliary(head: Head, state: State, dilated: bool) -> tuple[Head, tuple[str, ...]]:
    """The head with or without its auxiliary one; the keys of one that cannot be built here."""
    side = tuple(split(state, "auxiliary_head."))
    weight, normed = (state.get(key) for key in SIDE)
    usual = (
        weight is None
        or normed is None
        or len(weight) != len(normed)  # refused later
        or len(weight) == max(weight.shape[1] // 4, 1)
    )
    single = not begins(side, "auxiliary_head.convs.1.", "auxiliary_head.conv_cat.")
    options = dict(head.options)
    options["auxiliary"] = bool(side) and single and not begins(side, "auxiliary_head.0.")
    if head.arch in FREE_SIDE:
        options["auxiliary_width"] = width(state, *SIDE) if options["auxiliary"] else None
    elif not usual or dilated:
        options["auxiliary"] = False
    return head._replace(options=options), () if options["auxiliary"] else side


def _cascade(state: State, model: Config) -> Found:
    """FCNHead for the regions, then OCRHead."""
    keys = split(state, "decode_head.")
    if not begins(keys.values(), "1.object_context_block."):
        raise InputError(
            "mmsegmentation: its cascade of heads is not known; take one of FCNHead and OCRHead"
        )
    query = "decode_head.1.object_context_block.query_project.0"
    widths = ("decode_head.0.convs.0.conv.weight", "decode_head.1.bottleneck.conv.weight")
    all_maps = begins(state, "backbone.stage4.", "backbone.stage3.")
    config = part(model, "decode_head", 1)
    options = {
        "features": "all" if all_maps else "last",
        "width": width(state, widths[1]),
        "key_width": conv_width(state, query),
        "region_width": width(state, widths[0]),
        "region_kernel": width(state, widths[0], axis=2),
        "bias": False,
        "dropout": max(float(config.get("dropout_ratio", 0.0 if all_maps else 0.1)), 0.0),
    }
    classifiers = ("decode_head.1.conv_seg.weight", "decode_head.1.conv_seg.bias")
    return Found(Head("ocrnet", options), ("decode_head", 1), keys, classifiers)


def _bisenetv2(state: State) -> Found:
    keys = {key: key for key in state if key.startswith(("decode_head.", "auxiliary_head."))}
    keys |= split([k for k in state if k.startswith("backbone.bga.")], "backbone.")
    options = {
        "width": conv_width(state, "decode_head.convs.0"),
        "auxiliary": begins(state, "auxiliary_head."),
        "variant": "mmsegmentation",
    }
    classifiers = ("decode_head.conv_seg.weight", "decode_head.conv_seg.bias")
    return Found(Head("bisenetv2", options), ("decode_head",), keys, classifiers)


def _body(state: State, config: Config) -> Body:
    keys = {k: v for k, v in split(state, "backbone.").items() if not v.startswith("bga.")}
    if begins(keys.values(), "detail."):
        return backbones.bisenetv2(keys)
    if begins(keys.values(), "stage2.", "transition1."):
        body = backbones.hrnet(state, keys)
        return replace(
            body,
            options={**body.options, "resize": "bilinear_twice"},
            differences=("its HRNet joins branches bilinearly where timm's repeats pixels: kept",),
        )
    if begins(keys.values(), "layers.0.0.projection.", "patch_embed1.proj.weight"):
        return transformers.mit(state, keys, config.get("num_heads"))
    if begins(keys.values(), "patch_embed.projection.") and begins(keys.values(), "layers.0."):
        return transformers.vit(state, keys, config)
    if begins(keys.values(), "patch_embed1.proj.0.", "patch_embed1.proj.3."):
        return transformers.mscan(state, keys)
    for start, title in TRANSFORMERS.items():
        if begins(keys.values(), start):
            raise InputError(
                f"mmsegmentation, backbone {title}: its parts have other names and norms than"
                " timm's, and are not known; take a checkpoint on a ResNet"
            )
    if any(".conv.0." in inner for inner in keys.values()):
        body = backbones.mobilenet_v2(state, keys)
        return replace(body, options={"dilation": "first_block"})
    if config.get("style", "pytorch") != "pytorch":
        raise InputError(
            f"style={config['style']!r}: such a ResNet strides in another convolution; take a"
            " checkpoint of style 'pytorch'"
        )
    body = backbones.resnet(state, backbones.numbered_names(keys, "stem"))
    if body.name in ("resnet18", "resnet34"):
        told = "its basic blocks dilate their first convolution, timm's the second: kept"
        return replace(
            body, options={**body.options, "dilation": "first_conv"}, differences=(told,)
        )
    if config and not config.get("contract_dilation", False):
        return replace(body, options={**body.options, "dilation": "full"})
    return body


def _stride(body: Body, config: Config, arch: str) -> int | None:
    """Input pixels per pixel of the last feature map, where the backbone leaves a choice."""
    if body.name.startswith(("hrnet", "bisenet", "mit_", "mscan_", "vit_")):
        return None
    strides = config.get("strides")
    if strides is not None:
        total = 4 if len(strides) == 4 else 2
        for step in strides:
            total *= step
        return min(total, 32)
    return 32 if arch in UNDILATED else 8


def _multi_grid(config: Config) -> tuple[int, ...] | None:
    """Dilations of the last stage's blocks."""
    found = config.get("multi_grid")
    return None if found is None else tuple(found)


def _version(meta: Config) -> str:
    if "mmengine_version" in meta or "dataset_meta" in meta:
        return "1.x"
    return "0.x" if "CLASSES" in meta or "mmseg_version" in meta else "(0.x or 1.x)"


def described(meta: Config, outputs: int) -> dict[str, Any]:
    """Class names and colours, where the file has them for all classes."""
    found: dict[str, Any] = {}
    inside = part(meta, "dataset_meta")
    names = meta.get("CLASSES") or inside.get("classes") or inside.get("CLASSES")
    colours = meta.get("PALETTE") or inside.get("palette") or inside.get("PALETTE")
    if isinstance(names, list | tuple) and len(names) == outputs:
        found["names"] = tuple(str(name) for name in names)
    if isinstance(colours, list | tuple) and len(colours) == outputs:
        found["palette"] = tuple(tuple(int(value) for value in colour) for colour in colours)
    return found


def _input(config: Config) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Mean, std and order of the bands."""
    found = part(config, "model", "data_preprocessor") or part(config, "img_norm_cfg")
    mean, std = found.get("mean"), found.get("std")
    if not mean or not std:
        told = (
            "input: red, green, blue with ImageNet's mean and standard deviation, as published",
        )
        return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}, told
    swapped = not found.get("bgr_to_rgb", found.get("to_rgb", True))
    options: dict[str, Any] = {
        "mean": tuple(value / 255 for value in mean),
        "std": tuple(value / 255 for value in std),
    }
    if swapped:
        options["bands"] = BGR
    order = "blue, green, red" if swapped else "red, green, blue"
    return options, (f"input: {order}, mean and standard deviation of the file's configuration",)
