"""Adapters of the layers that gate channels and pixels."""

from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.registry import create
from pixelwise.layers.strip_pooling import StripGate


def channel_from_spatial(config: dict[str, Any]) -> Subject:
    module = create("channel_from_spatial", 1, **config)

    def run(x: Tensor) -> Tensor:
        module.channels = x.shape[1]  # no parameter depends on them, and the config has none
        return module(x)

    return subject(module, lambda: theirs(module, {"score": "conv"}), run)


def spatial_from_channel(config: dict[str, Any]) -> Subject:
    channels = config["in_ch"]
    hidden = channels // config.get("ratio", 16)
    module = create("spatial_from_channel", channels, hidden=hidden)
    return subject(module, lambda: theirs(module, {"reduce": "fc1", "expand": "fc2"}))


def se_timm(config: dict[str, Any]) -> Subject:
    channels, divisor = config["channels"], config.get("rd_divisor", 8)
    width = channels * config.get("rd_ratio", 1 / 16)
    hidden = config.get("rd_channels") or max(
        divisor, int(width + divisor / 2) // divisor * divisor
    )
    module = create(
        "se",
        channels,
        hidden=hidden,
        bias=config.get("bias", True),
        add_max=config.get("add_maxpool", False),
        norm=bool(config.get("norm_layer")),
        activation=config.get("act_layer", "relu").lower(),
        gate=config.get("gate_layer", "sigmoid"),
    )
    names = {"reduce": "fc1", "norm": "bn", "expand": "fc2"}
    return subject(module, lambda: theirs(module, names))


def se_linear(config: dict[str, Any]) -> Subject:
    channels = config["channel"]
    module = create("se", channels, hidden=channels // config.get("reduction", 16), bias=False)
    return subject(module, lambda: theirs(module, {"reduce": "fc.0", "expand": "fc.2"}))


def cbam(config: dict[str, Any]) -> Subject:
    channels = config["gate_channels"]
    module = create(
        "cbam",
        channels,
        hidden=channels // config.get("reduction_ratio", 16),
        pools=tuple(config.get("pool_types", ("avg", "max"))),
        spatial=not config.get("no_spatial", False),
    )
    names = {
        "reduce": "ChannelGate.mlp.1",
        "expand": "ChannelGate.mlp.3",
        "score": "SpatialGate.spatial.conv",
        "norm": "SpatialGate.spatial.bn",
    }
    return subject(module, lambda: theirs(module, names))


def bam(config: dict[str, Any]) -> Subject:
    module = create("bam", config["gate_channel"], square_window=True)

    def shapes() -> Shapes:
        channel, pixel = "channel_att.gate_c.gate_c", "spatial_att.gate_s.gate_s"
        names = {
            "reduce": f"{channel}_fc_0",
            "norm": f"{channel}_bn_1",
            "expand": f"{channel}_fc_final",
            "narrow.0": f"{pixel}_conv_reduce0",
            "narrow.1": f"{pixel}_bn_reduce0",
            "score": f"{pixel}_conv_final",
        }
        for i in range(len(module.get_submodule("dilated"))):
            names |= {f"dilated.{i}": f"{pixel}_conv_di_{i}", f"norms.{i}": f"{pixel}_bn_di_{i}"}
        return theirs(module, names)

    return subject(module, shapes)


def gate(config: dict[str, Any], **options: Any) -> Subject:
    stride = config.get("sub_sample_factor", 1)
    module = create(
        "gate",
        config["in_channels"],
        guide_channels=config["gating_channels"],
        hidden=config.get("inter_channels"),
        stride=stride if isinstance(stride, int) else tuple(stride),
        **options,
    )
    norm = options.get("norm", True)
    names = {
        "reduce": "theta",
        "reduce_guide": "phi",
        "score": "psi",
        "transform.0": "W.0" if norm else "W",
        "transform.1": "W.1",
    }

    def run(x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        weights = module.maps(x, guide).spatial
        assert weights is not None
        return module(x, guide), weights

    return subject(module, lambda: theirs(module, names), run)


def grid(align_corners: bool) -> Adapter:
    modes = {
        "concatenation": {"activation": "relu", "normalise": "sigmoid"},
        "concatenation_debug": {"activation": "softplus", "normalise": "sigmoid"},
        "concatenation_residual": {"activation": "relu", "normalise": "softmax"},
    }

    def adapter(config: dict[str, Any]) -> Subject:
        mode = modes[config.get("mode", "concatenation")]
        return gate(config, align_corners=align_corners, **mode)

    return adapter


def torr(config: dict[str, Any]) -> Subject:
    mode = config["mode"].removeprefix("concatenation_")
    return gate(
        config,
        strided_guide=True,
        activation=config.get("nonlinearity1", "relu") or "none",
        normalise="range" if mode == "range_normalise" else mode,
        project=config.get("use_theta", True),
        project_guide=config.get("use_phi", True),
        score=config.get("use_psi", True),
        transform=config.get("use_W", True),
        norm=config.get("bn_layer", True),
    )


def strip_gate(config: dict[str, Any]) -> Subject:
    """The authors' module returns the gate, of other channels than its input if so configured."""
    return subject(StripGate(config["inplanes"], config["outplanes"]))


ADAPTERS: dict[str, Adapter] = {
    "channel_attention_with_spatial@seed002": channel_from_spatial,
    "spatial_attention_with_channel@seed002": spatial_from_channel,
    "se@timm": se_timm,
    "se@linear_nobias": se_linear,
    "cbam@author": cbam,
    "bam@author": bam,
    "attention_gate@author": grid(align_corners=False),
    "attention_gate@author_torch03": grid(align_corners=True),
    "attention_gate_torr@author": torr,
    "strip_pooling_spm@author": strip_gate,
}

DIFFERENT: dict[str, str] = {
    "cbam@xmu": "adds the input again, has no norm, and biases where the authors have none",
    "cbam@changzy00": "mean before maximum, no norm behind the 7x7 convolution",
    "cbam@timm": "mean before maximum, and no biases in the bottleneck of the channel gate",
    "bam@changzy00": "adds the branches, and has a norm at the end of both",
    "bam@xmu_fixedpad": "adds the branches, with other layers in both than the authors'",
}
