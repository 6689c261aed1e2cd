"""`create_model`: an architecture, a backbone, and attention where one names it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pixelwise.errors import InputError
from pixelwise.layers.memory import limit_memory
from pixelwise.networks import registry
from pixelwise.networks.config import ModelConfig, attention_plan, convolution_plan
from pixelwise.networks.segmenter import Segmenter
from pixelwise.networks.zoo import ZOO

ALIASES = {
    "encoder_name": "backbone",
    "classes": "num_classes",
    "in_chans": "in_channels",
}
"""Names of segmentation_models_pytorch and timm -> names here."""


def create_model(
    arch: str,
    backbone: str | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    pretrained: bool | None = None,
    task: str = "multiclass",
    task_options: Mapping[str, Any] | None = None,
    output_stride: int | None = None,
    attention: str | Mapping[Any, Any] | None = None,
    convolution: str | Mapping[Any, Any] | None = None,
    multi_grid: Sequence[int] | None = None,
    backbone_options: Mapping[str, Any] | None = None,
    align_corners: bool | None = None,
    names: Sequence[str] = (),
    palette: Sequence[tuple[int, int, int]] = (),
    ignore_index: int = 255,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    scale: float = 255.0,
    bands: Sequence[int] | None = None,
    max_memory: int | str | None = None,
    **options: Any,
) -> Segmenter:
    """Build a segmentation network.

    Args:
        arch: `fcn`, `danet`, ...; see `list_models()`. Names as papers and code have them do as
            well. Those of published combinations, such as `hrnet_ocr`, stand for several of the
            arguments below; those given take their place.
        backbone: Any timm backbone with feature maps; by default what the authors have, or
            `resnet50`.
        num_classes: Real outputs, background included; 1 for the task `binary`.
        in_channels: Input bands, 3 by default; pretrained weights are adapted.
        pretrained: Start the backbone from timm's weights.
        task: What the outputs mean: `multiclass`, `binary`, `multilabel`, `regression` or
            `keypoints`.
        task_options: What the task has to know beside the names, see `pixelwise.tasks`.
        output_stride: 8, 16 or 32 input pixels per pixel of the last feature map; None takes the
            decoder's own choice where the backbone can.
        attention: Layers after the backbone's stages or inside residual blocks, in the grammar of
            `layers.placement`: `"psa_s"` (after the last stage), `"psa_s@3,4"`, `"gc@blocks3"`,
            `{3: "gc", "inner": {"name": "psa_s", "variant": "paper"}}`.
        convolution: What stands in for the 3x3 convolutions of a residual backbone's blocks, in the
            same grammar: `"deform@3,4"`, `"acmix"` (in all stages), or `"spd@2,3,4"` (those that
            stride).
        multi_grid: Dilations of the last stage's blocks (residual backbones), e.g. `(4, 8, 16)`.
        backbone_options: Keyword arguments of timm's network, e.g. `{"stem_type": "deep"}`, and the
            rules `dilation`, `pooling`, `resize` and the like of other codes, see
            `networks.backbones.rules`;
            `padding="none"` runs it on pictures of any size as they are, see docs/networks.md.
        align_corners: How maps and logits are resized; None is as the decoder's authors do.
        names: Class names, kept in the saved config, as are `palette` (an RGB triple per class),
            `ignore_index`, `mean`, `std`, `scale` and `bands`: the input is
            `(raw / scale - mean) / std` of the picture's `bands`.
        palette: See `names`.
        ignore_index: See `names`.
        mean: See `names`.
        std: See `names`.
        scale: See `names`.
        bands: See `names`.
        max_memory: Bytes, or e.g. "2GB", for the weights of pairs of pixels that exist at a time
            in each attention layer; of this machine, not of the model: it is not saved with it.
        **options: The decoder's own options, and the names `encoder_name`, `encoder_weights`,
            `classes` and `in_chans` of other libraries; anything else is refused.

    Raises:
        InputError: An unknown or contradictory name or value, with the remedy.
    """
    values: dict[str, Any] = {
        "backbone": backbone,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    for alias, name in ALIASES.items():
        if alias in options:
            values[name] = _same(name, values[name], alias, options.pop(alias))
    if "encoder_weights" in options:
        wanted = options.pop("encoder_weights") is not None
        pretrained = _same("pretrained", pretrained, "encoder_weights", wanted)
    arch = registry.resolve(arch)
    if arch in ZOO:
        entry = ZOO[arch]
        arch, values["backbone"] = entry.arch, values["backbone"] or entry.backbone
        attention = entry.attention if attention is None else attention
        convolution = entry.convolution if convolution is None else convolution
        own = entry.options_for(values["backbone"])
        backbone_options = {**own, **(backbone_options or {})}
        options = {**entry.options, **options}
    classes = values["num_classes"]
    if classes is None:
        if task != "binary":
            raise InputError(
                "num_classes=None: is missing; give the number of classes, background included"
            )
        classes = 1
    registry.check_options(arch, options)
    config = ModelConfig(
        arch=arch,
        backbone=values["backbone"] or registry.decoder_named(arch).backbone,
        num_classes=classes,
        in_channels=values["in_channels"] or 3,
        task=task,
        task_options=dict(task_options or {}),
        output_stride=output_stride,
        attention=attention_plan(attention),
        convolution=convolution_plan(convolution),
        multi_grid=_listed(multi_grid),
        backbone_options=dict(backbone_options or {}),
        options=options,
        align_corners=align_corners,
        names=_listed(names),
        palette=_listed(palette),
        ignore_index=ignore_index,
        mean=_listed(mean),
        std=_listed(std),
        scale=scale,
        bands=_listed(bands),
    )
    model = Segmenter(config, pretrained=bool(pretrained))
    limit_memory(model, max_memory)
    return model


def _same(name: str, value: Any, alias: str, given: Any) -> Any:
    if value is not None and value != given:
        raise InputError(f"{name}={value!r} and {alias}={given!r} contradict; give one of them")
    return given


def _listed(value: Any) -> Any:
    """What can be listed, as a tuple; a number or a text is no list."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
