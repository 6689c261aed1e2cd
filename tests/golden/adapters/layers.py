"""Adapters of single layers."""

import functools
from typing import Any

from adapters.subject import Adapter, Shapes, Subject, subject
from pixelwise.layers.registry import create


def conv(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    weight = {f"{name}.weight": (out, into, 1, 1)}
    return weight | ({f"{name}.bias": (out,)} if bias else {})


def norm(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape}


def global_context(channels: int, hidden: int, pooling: str, kinds: list[str]) -> Subject:
    fusions = tuple(kind.removeprefix("channel_") for kind in kinds)

    def shapes() -> Shapes:
        keys: dict[str, tuple[int, ...]] = {}
        if pooling == "att":
            keys |= conv("conv_mask", 1, channels)
        for kind in fusions:
            part = f"channel_{kind}_conv"
            keys |= conv(f"{part}.0", hidden, channels)
            keys |= norm(f"{part}.1", hidden, 1, 1)
            keys |= conv(f"{part}.3", channels, hidden)
        return keys

    return subject(create("gc", channels, hidden=hidden, pooling=pooling, fusions=fusions), shapes)


def gcnet(config: dict[str, Any]) -> Subject:
    channels = config["inplanes"]
    return global_context(
        channels,
        int(channels * config["ratio"]),
        config.get("pooling_type", "att"),
        config.get("fusion_types", ["channel_add"]),
    )


def cb2d(config: dict[str, Any]) -> Subject:
    channels = config["inplanes"]
    return global_context(
        channels,
        channels // 4,
        config.get("pool", "att"),
        config.get("fusions", ["channel_add", "channel_mul"]),
    )


def psa(key: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        channels = config["inplanes"]
        assert config["planes"] == channels, "the authors' code runs with equal widths only"
        assert config.get("stride", 1) == 1, "the authors' code runs with stride 1 only"
        half = channels // 2

        def shapes() -> Shapes:
            keys = {**conv("conv_q_right", 1, channels, bias=False)}
            for name in ("conv_v_right", "conv_q_left", "conv_v_left"):
                keys |= conv(name, half, channels, bias=False)
            if key == "psa_p":
                return keys | conv("conv_up", channels, half, bias=False)
            narrow = half // 4
            keys |= conv("conv_up.0", narrow, half) | norm("conv_up.1", narrow, 1, 1)
            return keys | conv("conv_up.3", channels, narrow)

        return subject(create(key, channels), shapes)

    return adapter


def xmu(key: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        channels = config.get("channel", 512)
        half = channels // 2

        def shapes() -> Shapes:
            keys = {**conv("ch_wq", 1, channels), **conv("ch_wz", channels, half)}
            for name in ("ch_wv", "sp_wv", "sp_wq"):
                keys |= conv(name, half, channels)
            return keys | norm("ln", channels)

        return subject(create(key, channels, variant="paper"), shapes)

    return adapter


def pam(config: dict[str, Any], variant: str = "code") -> Subject:
    channels = config.get("in_dim") or config["in_channels"]

    def shapes() -> Shapes:
        narrow = channels // 8
        keys = {**conv("query_conv", narrow, channels), **conv("key_conv", narrow, channels)}
        return keys | conv("value_conv", channels, channels) | {"gamma": (1,)}

    return subject(create("pam", channels, variant=variant), shapes)


def cam(config: dict[str, Any]) -> Subject:
    return subject(create("cam", config["in_dim"]), lambda: {"gamma": (1,)})


def coord(config: dict[str, Any]) -> Subject:
    channels, gates = config["inp"], config["oup"]
    assert gates in (1, channels), "the authors' code runs with oup of inp or 1 only"
    reduction = config.get("reduction", 32)

    def shapes() -> Shapes:
        hidden = max(8, channels // reduction)
        buffers = dict.fromkeys(("bn1.running_mean", "bn1.running_var"), (hidden,))
        keys = {**conv("conv1", hidden, channels), **norm("bn1", hidden), **buffers}
        keys["bn1.num_batches_tracked"] = ()
        return keys | conv("conv_h", gates, hidden) | conv("conv_w", gates, hidden)

    shared = gates == 1
    return subject(create("coord", channels, reduction=reduction, shared=shared), shapes)


ADAPTERS: dict[str, Adapter] = {
    "gc_context_block@author": gcnet,
    "cb2d@seed003": cb2d,
    "psa_p@author": psa("psa_p"),
    "psa_p@seed000": psa("psa_p"),
    "psa_p@xmu": xmu("psa_p"),
    "psa_s@author": psa("psa_s"),
    "psa_s@seed000": psa("psa_s"),
    "psa_s@xmu": xmu("psa_s"),
    "pam@author": pam,
    "pam@seed004": functools.partial(pam, variant="untransposed"),
    "cam@author": cam,
    "cam@seed004": cam,
    "coord_att@author": coord,
    "coord_att@seed003": coord,
}

DIFFERENT: dict[str, str] = {
    "gc@timm": "LayerNorm with eps 1e-6 where GCNet has 1e-5, and parameters of its own layout",
}
