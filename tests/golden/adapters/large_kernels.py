"""Adapters of the layers with large kernels, strips, and kernels for every pixel."""

from typing import Any

from adapters.subject import Adapter, Subject, subject, theirs
from pixelwise.layers.contextual_transformer import ContextualTransformer
from pixelwise.layers.registry import create
from pixelwise.layers.shared.mixed_pooling import MixedPooling

WIDTHS = ("d_model", "dim", "in_channels", "channels")
GATES = {"sigmoid": "sigmoid", "hardsigmoid": "hard_sigmoid"}
UNIT = "spatial_gating_unit"


def gate(key: str, config: dict[str, Any], names: dict[str, str], **options: Any) -> Subject:
    """A gate alone or between projections; names are ours -> theirs."""
    channels = next(config[name] for name in WIDTHS if name in config)
    if options.get("projected"):
        names = {ours: f"{UNIT}.{name}" for ours, name in names.items()}
        names |= {"project_in": "proj_1", "project_out": "proj_2"}
    module = create(key, channels, **options)
    return subject(module, lambda: theirs(module, names))


def msca(projected: bool) -> Adapter:
    name = "attention_kernel_sizes" if projected else "kernel_sizes"

    def adapter(config: dict[str, Any]) -> Subject:
        near, *strips = config.get(name, [5, [1, 7], [1, 11], [1, 21]])
        assert all(rows == 1 for rows, _ in strips), "strips run along a row first"
        options = {"kernel_size": near, "strips": tuple(length for _, length in strips)}
        names = {"near": "conv0", "mix": "conv3"}
        for i in range(len(strips)):
            names |= {f"along.{i}": f"conv{i}_1", f"down.{i}": f"conv{i}_2"}
        return gate("msca", config, names, projected=projected, **options)

    return adapter


def lka(projected: bool) -> Adapter:
    names = {"near": "conv0", "far": "conv_spatial", "mix": "conv1"}
    return lambda config: gate("lka", config, names, projected=projected)


def lska(projected: bool) -> Adapter:
    """Between projections, the file recorded has the other set of names."""
    parts = ("near_rows", "near_columns", "far_rows", "far_columns", "mix")
    near, far = ("DW_conv", "DW_D_conv") if projected else ("conv0", "conv_spatial")
    line = "_" * projected
    named = (f"{near}{line}h", f"{near}{line}v", f"{far}_h", f"{far}_v", "conv1")
    names = dict(zip(parts, named, strict=True))

    def adapter(config: dict[str, Any]) -> Subject:
        side = config["k_size"]
        return gate("lska", config, names, kernel_size=side, projected=projected)

    return adapter


def lsk(projected: bool) -> Adapter:
    names = {
        "near": "conv0",
        "far": "conv_spatial",
        "narrow_near": "conv1",
        "narrow_far": "conv2",
        "choose": "conv_squeeze",
        "mix": "conv",
    }
    return lambda config: gate("lsk", config, names, projected=projected)


def strip_attention(config: dict[str, Any]) -> Subject:
    module = create(
        "strip",
        config["channels"],
        kernel_size=config.get("kernel_size", 3) if config.get("use_conv", True) else 0,
        bias=config.get("bias", False),
        gate=GATES[config.get("gate_layer", "sigmoid")],
        residual=config.get("has_skip", False),
    )
    names = {"mix_rows": "conv_h", "mix_columns": "conv_w"}
    return subject(module, lambda: theirs(module, names))


def mixed_pooling(config: dict[str, Any]) -> Subject:
    corners = config.get("up_kwargs", {}).get("align_corners", True)
    sizes = tuple(config["pool_size"])
    module = MixedPooling(config["in_channels"], sizes, align_corners=corners)
    names = {ours: name for name, ours in MixedPooling.reference_keys.items()}
    return subject(module, lambda: theirs(module, names))


def cot(variant: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        module = create("cot", config["dim"], kernel_size=config["kernel_size"], variant=variant)
        names = {ours: name for name, ours in ContextualTransformer.reference_keys.items()}
        return subject(module, lambda: theirs(module, names))

    return adapter


ADAPTERS: dict[str, Adapter] = {
    "msca@author": msca(projected=False),
    "msca@mmseg": msca(projected=False),
    "msca_attention@author": msca(projected=True),
    "msca_attention@mmseg": msca(projected=True),
    "lka@author": lka(projected=False),
    "lka_attention@author": lka(projected=True),
    "lka_attention@author_cls": lka(projected=True),
    "lska@author": lska(projected=False),
    "lska_attention@author": lska(projected=True),
    "lsk@author": lsk(projected=False),
    "lsk_attention@author": lsk(projected=True),
    "cot@author": cot("cot"),
    "coxt@author": cot("coxt"),
    "strip_attn@timm": strip_attention,
    "strip_pooling_mpm@author": mixed_pooling,
}
