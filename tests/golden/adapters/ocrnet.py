"""Adapters of the networks of object-contextual representations."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from adapters.tokens import attention_names, one
from pixelwise.networks.decoders.ocrnet import OCRNet

CASCADE = "1."
"""What mmsegmentation's checkpoints call the second head of the cascade, the one recorded."""


def hrnet_head(config: dict[str, Any]) -> Subject:
    decoder = OCRNet(
        [config["last_inp_channels"]],
        config["NUM_CLASSES"],
        features="all",
        width=config.get("MID_CHANNELS", 512),
        key_width=config.get("KEY_CHANNELS", 256),
    )

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = decoder.with_auxiliary([x])
        return outputs.auxiliary["regions"], outputs.logits

    def shapes() -> Shapes:
        names = {
            "reduce": "conv3x3_ocr",
            "regions": "aux_head",
            "classify_regions.1": "aux_head.3",
            **attention_names(
                "context.attention.", "ocr_distri_head.object_context_block.", "torchbn"
            ),
            **one("context.fusion", "ocr_distri_head.conv_bn_dropout", "torchbn"),
            "classify": "cls_head",
        }
        return theirs(decoder, names)

    return subject(decoder, shapes, run)


def mmseg_head(config: dict[str, Any]) -> Subject:
    """OCRHead, whose regions come from the head before it: ours has that one inside, unused."""
    assert config.get("scale", 1) == 1, "mmsegmentation's own result is lost with other scales"
    assert config.get("norm_cfg"), "the heads of published networks all have norms"
    decoder = OCRNet(
        [config["in_channels"]],
        config["num_classes"],
        width=config["channels"],
        key_width=config["ocr_channels"],
        bias=False,
        dropout=max(config.get("dropout_ratio", 0.1), 0.0),
    )
    inner = subject(decoder)

    def load(state: Mapping[str, Tensor]) -> None:
        regions = {
            f"0.{name}": value
            for ours, name in (("regions.0", "convs.0.conv"), ("regions.1", "convs.0.bn"))
            for name, value in renamed(decoder, ours, name).items()
        }
        last = {f"0.{k}": v for k, v in renamed(decoder, "classify_regions.1", "conv_seg").items()}
        decoder.load_reference(
            {CASCADE + key: value for key, value in state.items()} | regions | last
        )

    def shapes() -> Shapes:
        block, names = "object_context_block", {"classify": "conv_seg"}
        pairs = {"reduce": "bottleneck", "context.fusion": f"{block}.bottleneck"}
        for ours, part in (("query", "query_project"), ("keys", "key_project")):
            pairs |= {f"context.attention.{ours}.{i}": f"{block}.{part}.{i}" for i in (0, 1)}
        for ours, part in (("value", "value_project"), ("expand", "out_project")):
            pairs[f"context.attention.{ours}"] = f"{block}.{part}"
        for ours, name in pairs.items():
            names |= {f"{ours}.0": f"{name}.conv", f"{ours}.1": f"{name}.bn"}
        unused = {"regions": "unused", "classify_regions": "unused"}
        found = theirs(decoder, names | unused)
        return {key: shape for key, shape in found.items() if not key.startswith("unused")}

    def own(key: str) -> Tensor:
        return inner.own(CASCADE + key)

    def run(x: Tensor, rough: Tensor) -> Tensor:
        return decoder.classify(decoder.context(decoder.reduce(x), rough))

    return Subject(decoder, load, own, shapes, run)


def renamed(decoder: OCRNet, ours: str, name: str) -> dict[str, Tensor]:
    state = decoder.get_submodule(ours).state_dict()
    return {f"{name}.{rest}": value for rest, value in state.items()}


ADAPTERS: dict[str, Adapter] = {
    "ocr_head@hrnet": hrnet_head,
    "mmseg_ocr": mmseg_head,
}
