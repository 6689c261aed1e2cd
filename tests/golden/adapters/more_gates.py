"""Adapters of more layers that gate channels and pixels."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.base import Layer
from pixelwise.layers.registry import create


def nam(config: dict[str, Any]) -> Subject:
    module = create("nam", config["channels"])
    return subject(module, lambda: theirs(module, {"norm": "Channel_Att.bn2"}))


GAM = {
    "reduce": "channel_attention.0",
    "expand": "channel_attention.2",
    "narrow": "spatial_attention.0",
    "narrow_norm": "spatial_attention.1",
    "widen": "spatial_attention.3",
    "widen_norm": "spatial_attention.4",
}


def gam(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    module = create("gam", channels, hidden=int(channels / config.get("rate", 4)))
    return subject(module, lambda: gam_shapes(module))


def gam_shapes(module: Layer) -> Shapes:
    """Theirs are linear maps where ours are 1x1 convolutions."""
    found = theirs(module, GAM)
    return {key: shape[:2] if "channel_" in key else shape for key, shape in found.items()}


def gam_yoloair(config: dict[str, Any]) -> Subject:
    channels, rate = config["c1"], config.get("rate", 4)
    assert config["c2"] == channels, "their product needs equal widths"
    module = create(
        "gam",
        channels,
        hidden=int(channels / rate),
        channel_sigmoid=False,
        groups=rate if config.get("group", True) else 1,
        shuffle=4,
    )
    return subject(module, lambda: gam_shapes(module))


def shuffle(option: str, groups: int) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        module = create("shuffle", config.get("channel", 512), groups=config.get(option, groups))
        names = {
            "channel_weight": "cweight",
            "channel_bias": "cbias",
            "pixel_weight": "sweight",
            "pixel_bias": "sbias",
            "norm": "gn",
        }

        def shapes() -> Shapes:
            found = dict(theirs(module, names))
            own = {key: (1, *shape, 1, 1) for key, shape in found.items() if "gn" not in key}
            return found | own

        return subject(module, shapes)

    return adapter


def ela(config: dict[str, Any]) -> Subject:
    channels, kernel = config["channels"], config.get("kernel_size", 7)
    activation = config.get("act_layer", "silu") or "none"
    gate = config.get("gate_layer", "sigmoid")
    module = create(
        "ela",
        channels,
        kernel_size=kernel,
        bias=config.get("bias", False),
        norm=bool(config.get("norm_layer", True)),
        activation=ACTIVATIONS.get(activation.lower(), activation.lower()),
        gate=GATES.get(gate.lower(), gate.lower()),
        skip=config.get("has_skip", False),
    )
    names = {
        "mix_rows": "conv_h",
        "mix_columns": "conv_w",
        "norm_rows": "norm_h",
        "norm_columns": "norm_w",
    }

    def shapes() -> Shapes:
        found = dict(theirs(module, names))
        found["conv_h.weight"] = (channels, 1, kernel, 1)
        found["conv_w.weight"] = (channels, 1, 1, kernel)
        return found

    return subject(module, shapes)


ACTIVATIONS = {"swish": "silu", "hardswish": "hard_swish", "identity": "none"}
GATES = {"hardsigmoid": "hard_sigmoid"}
"""Names of timm -> ours, where they differ in more than case."""


def mlca(config: dict[str, Any]) -> Subject:
    module = create(
        "mlca",
        config["in_size"],
        bins=config.get("local_size", 5),
        local_weight=config.get("local_weight", 0.5),
        gamma=float(config.get("gamma", 2)),
        beta=float(config.get("b", 1)),
    )
    return subject(module, lambda: theirs(module, {"score": "conv", "score_local": "conv_local"}))


def cpca(config: dict[str, Any]) -> Subject:
    channels = config["in_channels"]
    assert config["out_channels"] == channels, "the authors assert it"
    hidden = channels // config.get("channelAttention_reduce", 4)
    module = create("cpca", channels, hidden=hidden)
    names = {"mix": "conv", "reduce": "ca.fc1", "expand": "ca.fc2", "square": "dconv5_5"}
    for i, length in enumerate((7, 11, 21)):
        names |= {f"rows.{i}": f"dconv1_{length}", f"columns.{i}": f"dconv{length}_1"}

    def shapes() -> Shapes:
        found = dict(theirs(module, names))
        return found | {
            key: (*found[key], 1, 1) for key in found if "ca." in key and key.endswith("weight")
        }

    return subject(module, shapes)


def scsa(config: dict[str, Any]) -> Subject:
    window = config.get("window_size", 7)
    module = create(
        "scsa",
        config["dim"],
        heads=config["head_num"],
        window_size=None if window == -1 else window,
        kernel_sizes=tuple(config.get("group_kernel_sizes", (3, 5, 7, 9))),
        pool=config.get("down_sample_mode", "avg_pool").removesuffix("_pool"),
        gate=config.get("gate_layer", "sigmoid"),
        bias=config.get("qkv_bias", False),
        dropout=float(config.get("attn_drop_ratio", 0.0)),
    )
    mixes = ("local_dwc", "global_dwc_s", "global_dwc_m", "global_dwc_l")
    names = {f"mix.{i}": name for i, name in enumerate(mixes)}
    names |= {"norm_rows": "norm_h", "norm_columns": "norm_w", "norm": "norm"}
    names |= {"query_scale": "q", "key_scale": "k", "value_scale": "v"}
    return subject(module, lambda: theirs(module, names))


def external(config: dict[str, Any]) -> Subject:
    channels = config["c"]
    module = create("external", channels)
    names = {"project": "conv1", "keys": "linear_0", "values": "linear_1", "restore": "conv2"}
    memory = {"linear_0.weight": (64, channels, 1), "linear_1.weight": (channels, 64, 1)}
    return subject(module, lambda: {**theirs(module, names), **memory})


def of_tokens(module: Layer) -> Callable[[Tensor], Tensor]:
    """Tokens (b, n, c) as a map of one column."""
    return lambda x: module(x.mT[..., None])[..., 0].mT


def external_heads(config: dict[str, Any]) -> Subject:
    channels = config["dim"]
    module = create("external", channels, form="heads", heads=config.get("num_heads", 8))
    names = {"project": "trans_dims", "keys": "linear_0", "values": "linear_1", "restore": "proj"}
    maps = {
        "trans_dims.weight": (4 * channels, channels),
        "proj.weight": (channels, 4 * channels),
    }
    return subject(module, lambda: {**theirs(module, names), **maps}, of_tokens(module))


def external_bare(config: dict[str, Any]) -> Subject:
    module = create("external", config["d_model"], form="bare", slots=config.get("S", 64))
    names = {"keys": "mk", "values": "mv"}
    return subject(module, lambda: theirs(module, names), of_tokens(module))


def double(config: dict[str, Any]) -> Subject:
    module = create(
        "double", config["in_channels"], hidden=config["c_m"], descriptors=config["c_n"]
    )
    names = {"value": "convA", "gather": "convB", "share": "convV", "restore": "proj"}
    return subject(module, lambda: theirs(module, names))


ADAPTERS: dict[str, Adapter] = {
    "nam@author": nam,
    "gam@z1069614715": gam,
    "gam@yoloair": gam_yoloair,
    "shuffle_attention@author": shuffle("groups", 64),
    "shuffle_attention@xmu": shuffle("G", 8),
    "ela@timm": ela,
    "mlca@author": mlca,
    "cpca@author": cpca,
    "scsa@author": scsa,
    "external_attention@author": external,
    "external_attention_mh@author": external_heads,
    "external_attention@xmu": external_bare,
    "double_attention@changzy00": double,
}

DIFFERENT: dict[str, str] = {
    "double_attention@xmu_batchsoftmax": "softmaxes over the images of a batch, which is a fault",
}
