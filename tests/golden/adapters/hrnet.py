"""Adapters of whole HRNets: plain, with object context, with polarized attention, multi-scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from adapters.layers import psa
from adapters.subject import Adapter, Shapes, Subject, theirs
from adapters.tokens import attention_names, one
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.convert import fit, recognise
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import Segmenter

BODY = "backbone.body."


def whole(config: dict[str, Any], arch: str, stages: str, aligned: bool, **options: Any) -> Any:
    """The network of a configuration; `stages` is what its code calls the widths and depths."""
    model = config["MODEL"]
    aligned = model.get("ALIGN_CORNERS", aligned)
    body: dict[str, Any] = {"resize": "bilinear_aligned" if aligned else "bilinear"}
    for name, stage in model[stages].items():
        if name.startswith("STAGE"):
            named = {"block_type" if k == "BLOCK" else k.lower(): v for k, v in stage.items()}
            body[name.lower()] = named
    classes = config.get("DATASET", {}).get("NUM_CLASSES", 19)
    return create_model(
        arch,
        "hrnet_w18",
        num_classes=classes,
        align_corners=aligned,
        backbone_options=body,
        **options,
    )


def context(config: dict[str, Any]) -> dict[str, Any]:
    ocr = config["MODEL"].get("OCR", {})
    widths = {"width": ocr.get("MID_CHANNELS", 512), "key_width": ocr.get("KEY_CHANNELS", 256)}
    return {"features": "all", **widths}


def known(model: Segmenter, heads: Mapping[str, str], before: str, run: Any) -> Subject:
    """A network whose code calls the decoder's parts by `heads`, and the body's with `before`."""

    def shapes() -> Shapes:
        body = model.backbone.body
        found = {f"{before}{k}": tuple(v.shape) for k, v in body.state_dict().items()}
        for key in [key for key in found if ".aa." in key]:
            del found[key]
        for name, layer in body.named_modules():
            if name.endswith(".aa") and list(layer.parameters()):
                inner = psa(layer.key)({"inplanes": layer.channels, "planes": layer.channels})
                start = f"{before}{name.removesuffix('aa')}deattn."
                found |= {start + key: shape for key, shape in inner.shapes().items()}
        return found | theirs(model.decoder, heads)

    def load(state: Mapping[str, Tensor]) -> None:
        foreign = recognise(Checkpoint(Path("recorded.pth"), dict(state)))
        assert foreign.config.arch == model.config.arch
        fit(model, foreign)

    def own(key: str) -> Tensor:
        return model.state_dict(keep_vars=True)[name(key)]

    def name(key: str) -> str:
        inside = model.decoder.reference_name(key)
        if inside is not None:
            return f"decoder.{inside}"
        block, layer, rest = key.removeprefix(before).partition(".deattn.")
        if layer:
            block += ".aa"
            rest = model.backbone.body.get_submodule(block).reference_name(rest)
        return f"{BODY}{block}.{rest}" if layer else BODY + block

    return Subject(model, load, own, shapes, run)


def plain(config: dict[str, Any]) -> Subject:
    kernel = config["MODEL"]["EXTRA"].get("FINAL_CONV_KERNEL", 1)
    model = whole(config, "hrnetv2", "EXTRA", True, kernel_size=kernel)
    heads = {"join.0": "last_layer.0", "join.1": "last_layer.1", "classify": "last_layer.3"}
    return known(model, heads, "", lambda image: model.decoder(model.backbone(image)))


def head_names(start: str, norm: str, last: str) -> dict[str, str]:
    """Names of the object context's parts; `norm` and `last` are places in a sequence."""
    names = {
        f"{ours}.{i}": f"{start}{name}.{place}"
        for ours, name in (("reduce", "conv3x3_ocr"), ("regions", "aux_head"))
        for i, place in ((0, "0"), (1, norm))
    }
    inner = f"{start}ocr_distri_head."
    return {
        **names,
        "classify_regions.1": f"{start}aux_head.{last}",
        **attention_names("context.attention.", f"{inner}object_context_block.", "torchbn"),
        **one("context.fusion", f"{inner}conv_bn_dropout", "torchbn"),
        "classify": f"{start}cls_head",
    }


def ocr(config: dict[str, Any]) -> Subject:
    model = whole(config, "ocrnet", "EXTRA", True, **context(config))

    def run(image: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model.decoder.with_auxiliary(model.backbone(image))
        return outputs.auxiliary["regions"], outputs.logits

    return known(model, head_names("", "1", "3"), "", run)


PLACES = "psa_s@inner2,inner3,inner4"


def ocr_psa(config: dict[str, Any]) -> Subject:
    model = whole(config, "ocrnet", "OCR_EXTRA", False, attention=PLACES, **context(config))
    return known(model, head_names("ocr.", "1.0", "2"), "backbone.", model)


def mscale_psa(config: dict[str, Any]) -> Subject:
    given = config["MODEL"]
    scales = given.get("N_SCALES") or [given.get("MSCALE_LO_SCALE", 0.5), 1.0]
    options = {**context(config), "scale_width": given.get("SEGATTN_BOT_CH", 256)}
    options["scales"] = tuple(scales)
    model = whole(config, "ocrnet", "OCR_EXTRA", False, attention=PLACES, **options)
    heads = head_names("ocr.", "1.0", "2") | {"weigh.2": "scale_attn.conv2"}
    for i in (0, 1):
        heads |= {f"weigh.{i}.0": f"scale_attn.conv{i}", f"weigh.{i}.1": f"scale_attn.bn{i}"}

    decoder, weighed, seen = model.decoder, model.decoder.weighed, []

    def noted(features: list[Tensor]) -> Any:
        seen.append(weighed(features))
        return seen[-1]

    decoder.weighed = noted

    def run(image: Tensor) -> dict[str, Tensor]:
        seen.clear()
        found = {"pred": model(image)}
        for scale, (outputs, weights) in zip(decoder.running_scales, seen, strict=True):
            size = [int(side * scale) for side in image.shape[2:]]
            name = str(float(scale)).replace(".", "") + "x"
            for kind, z in (("pred", outputs.logits), ("attn", weights)):
                corners = decoder.align_corners
                found[f"{kind}_{name}"] = F.interpolate(z, size, None, "bilinear", corners)
        return found

    return known(model, heads, "backbone.", run)


ADAPTERS: dict[str, Adapter] = {
    "hrnet_seg@hrnet": plain,
    "hrnet_ocr@hrnet": ocr,
    "hrnet_ocr_psa@author": ocr_psa,
    "hrnet_mscale_psa@author": mscale_psa,
}
