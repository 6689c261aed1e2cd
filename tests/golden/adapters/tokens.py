"""Adapters of self-attention, interlaced sparse self-attention and object context."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, theirs
from pixelwise.layers.object_context import ObjectAttention, ObjectContext
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.registry import create
from pixelwise.ops.regions import gather_regions
from pixelwise.ops.running import choice

Names = Mapping[str, str]

ABN = "inplace_abn"


def activation(config: dict[str, Any]) -> str:
    return "leaky_relu" if config.get("bn_type") == ABN else "relu"


def one(ours: str, name: str, layout: str) -> Names:
    """Convolution and norm of one layer: our names -> theirs."""
    norm = "1.0" if layout == "torchbn" else "1"
    return {f"{ours}.0": f"{name}.0", f"{ours}.1": f"{name}.{norm}"}


def two(ours: str, name: str, layout: str) -> Names:
    places = {
        "torchbn": ("0", "1.0", "2", "3.0"),
        ABN: ("0", "1", "2", "3"),
        "flat": ("0", "1", "3", "4"),
    }[layout]
    parts = ("0.0", "0.1", "1.0", "1.1")
    return {f"{ours}.{o}": f"{name}.{t}" for o, t in zip(parts, places, strict=True)}


def block(ours: str, name: str, layout: str) -> Names:
    """Names of one self-attention block; both prefixes end with a dot, or are empty."""
    return {
        **two(f"{ours}query", f"{name}f_query", layout),
        **two(f"{ours}keys", f"{name}f_key", layout),
        f"{ours}value": f"{name}f_value",
        f"{ours}project": f"{name}W",
        **one(f"{ours}project", f"{name}W", layout),
    }


def interlaced(ours: str, name: str, layout: str) -> Names:
    return {
        **block(f"{ours}far.", f"{name}long_range_sa.", layout),
        **block(f"{ours}near.", f"{name}short_range_sa.", layout),
    }


def layout(config: dict[str, Any], source: str) -> str:
    if source == "flat":
        return "flat"
    return ABN if config.get("bn_type") == ABN else "torchbn"


def known(
    layer: ReferenceWeights,
    names: Names,
    found: str,
    run: Callable[..., Tensor] | None = None,
) -> Subject:
    """A layer whose checkpoint has these names.

    InPlaceABN counts no batches, and uses the size of its weight: where the authors' weight is
    negative, their gradient has the other sign.
    """
    signs: dict[str, Tensor] = {}

    def load(state: Mapping[str, Tensor]) -> None:
        exact = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
        layer.double().load_reference(exact)  # |w| + eps of InPlaceABN is not rounded
        if found == ABN:
            means = {k.removesuffix("running_mean") for k in state if k.endswith("running_mean")}
            signs.update((f"{norm}weight", state[f"{norm}weight"].sign()) for norm in means)

    def shapes() -> Shapes:
        state = theirs(layer, names)
        return {k: v for k, v in state.items() if found != ABN or "num_batches" not in k}

    def own(key: str) -> Tensor:
        fitting = {o: t for o, t in names.items() if key.startswith(f"{t}.")}
        ours = max(fitting, key=lambda name: len(fitting[name]))
        name = ours + key.removeprefix(fitting[ours])
        value = layer.state_dict(keep_vars=True)[name]
        if key not in signs or value.grad is None:
            return value
        signed = value.detach() * signs[key]
        signed.grad = value.grad * signs[key]
        return signed

    return Subject(layer, load, own, shapes, run)


def self_attention(source: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        base = source == "base_oc"
        layer = create(
            "self_attention",
            config["in_channels"],
            key_channels=config["key_channels"],
            value_channels=config["value_channels"],
            out_channels=config.get("out_channels"),
            bias=base,
            normalise_output=not base,
            pool=config.get("scale", 1) if base else 1,
            activation=activation(config),
        )
        found = layout(config, source)
        names = dict(block("", "", found))
        if base:
            names = {k: v for k, v in names.items() if not k.startswith("project.")}
        else:
            del names["project"]
        return known(layer, names, found)

    return adapter


def isa(source: str, *, module: bool) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        factors = config["down_factors"] if module else [config.get("down_factor", [8, 8])]
        layer = create(
            "isa",
            config["in_channels"],
            key_channels=config["key_channels"],
            value_channels=config["value_channels"],
            out_channels=config.get("out_channels"),
            down_factors=factors,
            fuse=module,
            dropout=float(config.get("dropout", 0)),
            activation=activation(config),
        )
        found = layout(config, source)
        names = {**one("widen", "up_conv", found), **one("fusion", "conv_bn", found)}
        for number in range(len(factors)):
            stage = f"stages.{number}."
            names |= interlaced(stage, stage if module else "", found)
        return known(layer, names, found)

    return adapter


def gather(config: dict[str, Any]) -> Subject:
    scale = float(config.get("scale", 1))

    def run(x: Tensor, logits: Tensor) -> Tensor:
        return gather_regions(x, logits, scale)[..., None]

    return Subject(nn.Identity(), lambda state: None, lambda key: torch.empty(0), dict, run)


def attention_names(ours: str, name: str, found: str) -> Names:
    return {
        **two(f"{ours}query", f"{name}f_pixel", found),
        **two(f"{ours}keys", f"{name}f_object", found),
        **one(f"{ours}value", f"{name}f_down", found),
        **one(f"{ours}expand", f"{name}f_up", found),
    }


def object_attention(*, bias: bool) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        layer = ObjectAttention(
            config["in_channels"],
            key_channels=config["key_channels"],
            pool=config.get("scale", 1),
            bias=bias,
            activation=activation(config),
        )
        found = layout(config, "nested")

        def run(x: Tensor, context: Tensor) -> Tensor:
            plain = choice.forced_form("layer") == "plain"
            return (layer if plain else layer.lean)(x, context[..., 0])

        return known(layer, attention_names("", "", found), found, run)

    return adapter


def spatial_ocr(*, bias: bool) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        layer = ObjectContext(
            config["in_channels"],
            key_channels=config["key_channels"],
            out_channels=config["out_channels"],
            dropout=float(config.get("dropout", 0.1)),
            pool=config.get("scale", 1),
            bias=bias,
            activation=activation(config),
        )
        found = layout(config, "nested")
        names = {
            **attention_names("attention.", "object_context_block.", found),
            **one("fusion", "conv_bn_dropout", found),
        }

        def run(x: Tensor, context: Tensor) -> Tensor:
            regions = context[..., 0]
            if choice.forced_form("layer") == "plain":
                z = layer.attention(x, regions)
                return layer.dropout(layer.fusion(torch.cat([z, x], dim=1)))
            return layer.fuse(x, regions)

        return known(layer, names, found, run)

    return adapter


ADAPTERS: dict[str, Adapter] = {
    "self_attention_block_2d@openseg_isa": self_attention("nested"),
    "self_attention_block_2d@openseg_baseoc": self_attention("base_oc"),
    "self_attention_block_2d@seed001": self_attention("flat"),
    "isa_block@openseg": isa("nested", module=False),
    "isa_block@seed001": isa("flat", module=False),
    "isa_module@openseg": isa("nested", module=True),
    "isa_module@openseg_inplace_abn": isa("nested", module=True),
    "isa_module@seed001": isa("flat", module=True),
    "spatial_gather@hrnet": gather,
    "object_attention@hrnet": object_attention(bias=False),
    "object_attention@openseg": object_attention(bias=True),
    "spatial_ocr@hrnet": spatial_ocr(bias=False),
    "spatial_ocr@openseg": spatial_ocr(bias=True),
}
