"""Adapters of mmsegmentation's whole networks: EncoderDecoder of a ResNet and its heads."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from adapters.isanet import mmseg_names
from adapters.subject import Adapter, Shapes, Subject, theirs
from pixelwise.networks.factory import create_model

STEM = {
    **{f"backbone.stem.{i}": f"backbone.body.conv1.{i}" for i in (0, 1, 3, 4, 6)},
    "backbone.stem.7": "backbone.body.bn1",
    "backbone": "backbone.body",
}
"""mmsegmentation's names of a backbone's parts -> ours."""

HEADS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "DAHead": ("danet", {"channels": "width", "pam_channels": "key_width"}, {}),
    "ISAHead": (
        "isanet",
        {"channels": "width", "isa_channels": "key_width"},
        {"value_bias": True},
    ),
}
"""Decoder, its options among the head's, and what is always so."""

BRANCHES = {"danet": ("position", "channel"), "isanet": ()}
"""Which auxiliary outputs the head itself gives."""


def backbone_options(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind, depth = config["type"], config["depth"]
    assert kind in ("ResNet", "ResNetV1c", "ResNetV1d"), kind
    assert config.get("style", "pytorch") == "pytorch", "timm strides in the 3x3 convolution"
    base, stem = config.get("base_channels", 64), config.get("stem_channels", 64)
    options: dict[str, Any] = {"channels": [base, 2 * base, 4 * base, 8 * base]}
    deep = config.get("deep_stem", kind != "ResNet")
    options |= {"stem_type": "deep", "stem_width": stem // 2} if deep else {"stem_width": stem}
    if config.get("avg_down", kind == "ResNetV1d"):
        options["avg_down"] = True
    if depth < 50:
        options["dilation"] = "first_conv"
    elif not config.get("contract_dilation", False):
        options["dilation"] = "full"
    return f"resnet{depth}", options


def stride(config: Mapping[str, Any]) -> int:
    found = 4
    for step in config.get("strides", (1, 2, 2, 2)):
        found *= step
    return found


def whole(config: dict[str, Any]) -> Subject:
    head, beside = config["decode_head"], config.get("auxiliary_head")
    arch, renamed, options = HEADS[head["type"]]
    options = options | {ours: head[name] for name, ours in renamed.items() if name in head}
    if arch == "isanet":
        options["down_factors"] = [head.get("down_factor", [8, 8])]
        options["dropout"] = max(head.get("dropout_ratio", 0.1), 0.0)
        if beside:
            options["auxiliary_width"] = beside["channels"]
    backbone, chosen = backbone_options(config["backbone"])
    model = create_model(
        arch,
        backbone,
        num_classes=head["num_classes"],
        output_stride=stride(config["backbone"]),
        backbone_options=chosen,
        align_corners=head.get("align_corners", False),
        auxiliary=beside is not None,
        **options,
    )

    def name(key: str) -> str:
        theirs = next((part for part in STEM if key.startswith(part + ".")), None)
        if theirs is not None:
            return STEM[theirs] + key.removeprefix(theirs)
        inside = model.decoder.reference_name(key.removeprefix("decode_head."))
        assert inside is not None, key
        return f"decoder.{inside}"

    def load(state: Mapping[str, Tensor]) -> None:
        start = "backbone.body."
        body = {
            name(k).removeprefix(start): v for k, v in state.items() if k.startswith("backbone.")
        }
        model.backbone.body.load_state_dict(body)
        model.decoder.load_reference(
            {
                key.removeprefix("decode_head."): value
                for key, value in state.items()
                if not key.startswith("backbone.")
            }
        )

    def own(key: str) -> Tensor:
        return model.state_dict(keep_vars=True)[name(key)]

    def shapes() -> Shapes:
        start = "backbone.body."
        state = {key.removeprefix(start): tuple(v.shape) for key, v in model.state_dict().items()}
        ours = {part.removeprefix(start): key for key, part in STEM.items() if part != start[:-1]}
        found = {}
        for key, shape in state.items():
            part = next((part for part in ours if key.startswith(part + ".")), None)
            if part is not None:
                found[ours[part] + key.removeprefix(part)] = shape
            elif not key.startswith("decoder."):
                found[f"backbone.{key}"] = shape
        return found | decoder_shapes(model, arch)

    def run(image: Tensor) -> tuple[Tensor, ...]:
        outputs = model.decoder.with_auxiliary(model.backbone(image))
        return outputs.logits, *(outputs.auxiliary[name] for name in BRANCHES[arch])

    return Subject(model, load, own, shapes, run)


def decoder_shapes(model: Any, arch: str) -> Shapes:
    decoder = model.decoder
    inner = {
        "danet": {
            **{
                f"{ours}_{step}.{i}": f"decode_head.{name}_{theirs}_conv.{part}"
                for ours, name in (("position", "pam"), ("channel", "cam"))
                for step, theirs in (("reduce", "in"), ("expand", "out"))
                for i, part in ((0, "conv"), (1, "bn"))
            },
            **{
                f"position.{ours}": f"decode_head.pam.{name}_project"
                for ours, name in (("query", "query"), ("keys", "key"), ("value", "value"))
            },
            "position.gain": "decode_head.pam.gamma.scale",
            "channel.gain": "decode_head.cam.gamma.scale",
            "classify_position.1": "decode_head.pam_conv_seg",
            "classify_channel.1": "decode_head.cam_conv_seg",
            "classify.1": "decode_head.conv_seg",
        },
        "isanet": {ours: f"decode_head.{name}" for ours, name in mmseg_names().items()},
    }[arch]
    beside = {
        "auxiliary.layers.0": "auxiliary_head.convs.0.conv",
        "auxiliary.layers.1": "auxiliary_head.convs.0.bn",
        "auxiliary.layers.4": "auxiliary_head.conv_seg",
    }
    found = dict(theirs(decoder, inner | beside))
    for key, shape in found.items():
        if key.endswith("_project.weight") and len(shape) == 2:
            found[key] = (*shape, 1, 1)  # ours is a linear map
        if key.endswith("gamma.scale"):
            found[key] = ()
    return found


ADAPTERS: dict[str, Adapter] = {"mmseg_danet_r18": whole, "mmseg_isanet_r50": whole}
