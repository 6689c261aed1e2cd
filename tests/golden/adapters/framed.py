"""Adapters of decoders that hold one layer in a frame of convolutions, and of those with none."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from adapters.pairwise import conv, criss_cross_shapes, non_local_shapes
from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.networks.base import Decoder
from pixelwise.networks.decoders.ccnet import CCNet
from pixelwise.networks.decoders.dnlnet import DNLNet
from pixelwise.networks.decoders.fcn import FCN
from pixelwise.networks.decoders.fpn import FPN
from pixelwise.networks.decoders.gcnet import GCNet
from pixelwise.networks.decoders.non_local import NonLocalNet

CLASSIFIER = {"classify.1": "conv_seg"}
FRAME = {
    f"{ours}.{number}": f"{name}.{part}"
    for ours, name in {"before": "convs.0", "after": "convs.1", "joined": "conv_cat"}.items()
    for number, part in {"0": "conv", "1": "bn"}.items()
}


def head(decoder: Decoder, names: Mapping[str, str], inner: Shapes) -> Subject:
    """A decoder around a layer whose own names and shapes are `inner`."""

    def shapes() -> Shapes:
        keys = theirs(decoder, {**names, "layer": "layer"})
        return {k: v for k, v in keys.items() if not k.startswith("layer.")} | dict(inner)

    return subject(decoder, shapes, lambda *x: decoder(x))


def within(block: str, inner: Shapes) -> Shapes:
    return {f"{block}.{key}": shape for key, shape in inner.items()}


def mmseg_head(block: str, decoder: Decoder, inner: Shapes) -> Subject:
    return head(decoder, FRAME | CLASSIFIER, within(block, inner))


def non_local_head(key: str, block: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        channels = config["channels"]
        known = ("mode", "use_scale", "temperature")
        kind: Any = {"nonlocal": NonLocalNet, "dnl": DNLNet}[key]
        decoder = kind(
            [config["in_channels"]],
            config["num_classes"],
            width=channels,
            hidden=max(channels // config.get("reduction", 2), 1),
            concatenate=config.get("concat_input", True),
            **{name: config[name] for name in known if name in config},
        )
        return mmseg_head(block, decoder, non_local_shapes(key, channels, config))

    return adapter


def global_context_head(config: dict[str, Any]) -> Subject:
    channels = config["channels"]
    hidden = int(channels * config.get("ratio", 1 / 4))
    pooling, kinds = config.get("pooling_type", "att"), config.get("fusion_types", ["channel_add"])
    inner: dict[str, tuple[int, ...]] = {}
    if pooling == "att":
        inner |= conv("conv_mask", 1, channels)
    for kind in kinds:
        inner |= conv(f"{kind}_conv.0", hidden, channels)
        inner |= dict.fromkeys((f"{kind}_conv.1.weight", f"{kind}_conv.1.bias"), (hidden, 1, 1))
        inner |= conv(f"{kind}_conv.3", channels, hidden)
    decoder = GCNet(
        [config["in_channels"]],
        config["num_classes"],
        width=channels,
        hidden=hidden,
        pooling=pooling,
        fusions=tuple(kind.removeprefix("channel_") for kind in kinds),
        concatenate=config.get("concat_input", True),
    )
    return mmseg_head("gc_block", decoder, inner)


def criss_cross_head(config: dict[str, Any]) -> Subject:
    channels = config["channels"]
    decoder = CCNet(
        [config["in_channels"]],
        config["num_classes"],
        width=channels,
        recurrence=config.get("recurrence", 2),
        concatenate=config.get("concat_input", True),
        activation="relu",
    )
    return mmseg_head("cca", decoder, criss_cross_shapes(channels, "gamma.scale"))


def rcca(config: dict[str, Any]) -> Subject:
    """The authors' head, whose norms are InPlaceABN.

    Those count no batches, and use the size of their weight: where the authors' weight is negative,
    their gradient has the other sign.
    """
    channels = config["in_channels"]
    decoder = CCNet(
        [channels],
        config["num_classes"],
        joined=config["out_channels"],
        recurrence=config.get("recurrence", 1),
    )
    names = {
        "before": "conva",
        "after": "convb",
        "joined": "bottleneck",
        "classify.1": "bottleneck.3",
    }
    inner = within("cca", criss_cross_shapes(channels // 4, "gamma", 1))
    plain = head(decoder, names, inner)
    signs: dict[str, Tensor] = {}

    def load(state: Mapping[str, Tensor]) -> None:
        decoder.double().load_reference({k: v.double() for k, v in state.items()})
        for key in state:
            if key.endswith("running_mean"):
                norm = key.replace("running_mean", "weight")
                signs[norm] = state[norm].sign()

    def own(key: str) -> Tensor:
        value = plain.own(key)
        if key not in signs or value.grad is None:
            return value
        signed = value.detach() * signs[key]
        signed.grad = value.grad * signs[key]
        return signed

    def shapes() -> Shapes:
        return {k: v for k, v in plain.shapes().items() if "num_batches" not in k}

    return Subject(decoder, load, own, shapes, plain.run)


def fcn(config: dict[str, Any]) -> Subject:
    convs, channels = config.get("num_convs", 2), config["in_channels"]
    decoder = FCN(
        channels if isinstance(channels, list) else [channels],
        config["num_classes"],
        features="all" if config.get("input_transform") == "resize_concat" else "last",
        width=config["channels"],
        convs=convs,
        kernel_size=config.get("kernel_size", 3),
        dilation=config.get("dilation", 1),
        concatenate=config.get("concat_input", True),
    )
    decoder.align_corners = config.get("align_corners", False)
    steps = {f"steps.{i}.0": f"convs.{i}.conv" for i in range(convs)}
    norms = {f"steps.{i}.1": f"convs.{i}.bn" for i in range(convs)}
    return head(decoder, steps | norms | FRAME | CLASSIFIER, {})


def fpn(config: dict[str, Any]) -> Subject:
    strides = config["feature_strides"]
    decoder = FPN(
        config["in_channels"],
        config["num_classes"],
        width=config["channels"],
        neck=None,
        strides=strides,
    )
    decoder.align_corners = config.get("align_corners", False)
    names = {
        f"levels.{level}.{i}.{number}": f"scale_heads.{level}.{2 * i}.{part}"
        for level, doubled in enumerate(decoder.doublings)
        for i in range(max(doubled, 1))
        for number, part in {"0": "conv", "1": "bn"}.items()
    }
    return subject(decoder, lambda: theirs(decoder, names | CLASSIFIER), lambda *x: decoder(x))


ADAPTERS: dict[str, Adapter] = {
    "rcca@author": rcca,
    "mmseg_nl": non_local_head("nonlocal", "nl_block"),
    "mmseg_dnl": non_local_head("dnl", "dnl_block"),
    "mmseg_gc": global_context_head,
    "mmseg_cc": criss_cross_head,
    "mmseg_fcn": fcn,
    "mmseg_fpn": fpn,
}
