"""Adapters of the state-space scan and of the block around it."""

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject
from pixelwise.layers.shared.scan_routes import DIRECTIONS
from pixelwise.layers.shared.state_space_block import StateSpaceBlock
from pixelwise.layers.state_space_scan import StateSpaceScan

NORMS = {
    "onnone": "none",
    "ondwconv3": "convolution",
    "oncnorm": "layer_convolution",
    "onsoftmax": "softmax",
    "onsigmoid": "sigmoid",
}
ROUTES = {"v051d": "rows", "v052d": "rows_both_ways"}
REFUSED = {"v2", "v052dc"}
"""What the authors' released code raises on."""


def told(forward_type: str) -> tuple[str, set[str]]:
    """The scan of a `forward_type`, and what its endings say: "v05_noz" and "v3noz" are such."""
    base, *endings = forward_type.split("_")
    found = re.fullmatch(r"(v\d+(?:seq|dc|d)?)(noz|nozact)?", base)
    assert found, f"{forward_type}: not one that is known"
    return found[1], {*endings, *filter(None, [found[2]])}


def scan(channels: int, config: dict[str, Any], prefix: str = "") -> StateSpaceScan:
    def option(name: str, default: Any, own: str = "") -> Any:
        return config.get(f"{prefix}{name}" if prefix else own or name, default)

    base, endings = told(config.get("forward_type", "v2"))
    assert base not in REFUSED, f"{base}: the authors' code does not run"
    rank = option("dt_rank", "auto")
    gates = {"noz": "none", "nozact": "linear"}
    norms = [name for ending, name in NORMS.items() if ending in endings]
    return StateSpaceScan(
        channels,
        expansion=option("ratio", 2.0, "ssm_ratio"),
        states=option("d_state", 16),
        step_rank=None if rank == "auto" else rank,
        kernel_size=option("conv", 3, "d_conv"),
        kernel_bias=option("conv_bias", True),
        route=ROUTES.get(base, "cross"),
        gate=next((gates[ending] for ending in endings if ending in gates), "silu"),
        norm=norms[0] if norms else "layer",
        output_activation="oact" in endings,
        bias=config.get("bias", False),
    )


def scan_shapes(module: StateSpaceScan, forward_type: str, prefix: str = "") -> Shapes:
    """The authors' keys and shapes: an axis of directions here, none there."""
    own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    k, width = DIRECTIONS, len(module.skips) // DIRECTIONS
    select, steps = own["scan.select.weight"][:2], own["scan.steps.weight"][:2]
    old = told(forward_type)[0] in ("v0", "v0seq")
    names = {"expand": "in_proj", "convolve": "conv2d", "project": "out_proj"}
    both = module.norm is not None and module.mix is not None
    names |= {"norm": "out_norm.0" if both else "out_norm"}
    names |= {"mix": "out_norm.2" if both else "out_norm.1"}
    found = {
        "A_logs": own["scan.rates"],
        "Ds": own["skips"],
        "dt_projs_bias": (k, width),
        "x_proj_weight" if old else "x_proj.weight": (k, select[0] // k, width) if old else select,
        "dt_projs_weight" if old else "dt_projs.weight": (k, width, steps[1]) if old else steps,
    }
    for name, shape in own.items():
        part, _, rest = name.partition(".")
        if part in names:
            found[f"{names[part]}.{rest}"] = shape
    return {prefix + key: shape for key, shape in found.items()}


def laid_out(module: Callable[[Tensor], Tensor], config: dict[str, Any]) -> Callable[..., Tensor]:
    """The authors' layout: channels last, or not."""
    if config.get("channel_first", False):
        return module
    return lambda x: module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def ss2d(config: dict[str, Any]) -> Subject:
    module = scan(config.get("d_model", 96), config)

    def shapes() -> Shapes:
        return scan_shapes(module, config.get("forward_type", "v2"))

    return subject(module, shapes, laid_out(module, config))


def vss_block(config: dict[str, Any]) -> Subject:
    channels = config["hidden_dim"]
    inner = scan(channels, config, "ssm_") if config.get("ssm_ratio", 2.0) > 0 else None
    module = StateSpaceBlock(
        channels,
        inner,
        mlp_ratio=config.get("mlp_ratio", 4.0),
        post_norm=config.get("post_norm", False),
    )

    def shapes() -> Shapes:
        found: dict[str, tuple[int, ...]] = {}
        if inner is not None:
            found |= scan_shapes(inner, config.get("forward_type", "v2"), "op.")
        names = {"scan_norm": "norm", "mlp_norm": "norm2", "widen": "mlp.fc1", "narrow": "mlp.fc2"}
        for name, value in module.state_dict().items():
            part, _, rest = name.partition(".")
            if part in names:
                found[f"{names[part]}.{rest}"] = tuple(value.shape)
        return found

    return subject(module, shapes, laid_out(module, config))


ADAPTERS: dict[str, Adapter] = {"ss2d@author": ss2d, "vss_block@author": vss_block}
