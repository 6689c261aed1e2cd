"""The decode heads of mmsegmentation: which network each is here, and with which options.

Widths are read off the tensors, which are named as below `decode_head.`; what tensors cannot tell
is taken from the head's configuration, or else from the published ones, and said.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from pixelwise.interop.network import begins, width
from pixelwise.interop.transformers import COARSEST_FIRST


class Head(NamedTuple):
    """A decode head: which network it is here, and with which options."""

    arch: str
    options: dict[str, Any]
    differences: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    """What neither tensors nor configuration tell."""


State = Mapping[str, Tensor]
Config = Mapping[str, Any]


def conv_width(head: State, name: str) -> int:
    """The width of a convolution with a norm."""
    return width(head, f"{name}.conv.weight", f"{name}.bn.weight", f"{name}.bn.bias")


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _given(config: Config, names: Mapping[str, str]) -> dict[str, Any]:
    """Options here -> values of the head's configuration, where it names them."""
    return {
        ours: config[theirs] for ours, theirs in names.items() if config.get(theirs) is not None
    }


def _danet(head: State, config: Config) -> Head:
    return Head(
        "danet",
        {
            "width": conv_width(head, "pam_in_conv"),
            "key_width": width(head, "pam.query_project.weight", "pam.query_project.bias"),
        },
    )


def _isanet(head: State, config: Config) -> Head:
    factor = config.get("down_factor")
    options = {
        "width": conv_width(head, "in_conv"),
        "key_width": conv_width(head, "global_relation.query_project.0"),
        "down_factors": (_pair(factor or (8, 8)),),
        "value_bias": True,
        "dropout": float(config.get("dropout_ratio", 0.1)),
    }
    assumed = () if factor else ("cells of 8x8 pixels",)
    swapped = "ISAHead joins context and features the other way round: the columns are reordered"
    return Head("isanet", options, (swapped,), assumed)


def _emanet(head: State, config: Config) -> Head:
    options = {
        "width": conv_width(head, "bottleneck"),
        "attention_width": conv_width(head, "ema_in_conv"),
        "bases": width(head, "ema_module.bases", axis=2),
        "variant": "mmsegmentation",
        "concatenate": begins(head, "conv_cat."),
        "momentum": 1 - config.get("momentum", 0.1),
        "steps": config.get("num_stages", 3),
    }
    return Head("emanet", options, ("EMAHead's own normalisation of the bases is kept",))


def _encnet(head: State, config: Config) -> Head:
    options = {
        "width": conv_width(head, "bottleneck"),
        "codes": width(head, "enc_module.encoding.0.codewords", "enc_module.encoding.0.scale"),
        "lateral": len({k.split(".")[1] for k in head if k.startswith("lateral_convs.")}),
        "presence": begins(head, "se_layer."),
    }
    return Head("encnet", options)


def _framed(head: State) -> dict[str, Any]:
    """Options of heads with a block between two convolutions."""
    return {"width": conv_width(head, "convs.0"), "concatenate": begins(head, "conv_cat.")}


def _gcnet(head: State, config: Config) -> Head:
    kinds = {"add": "channel_add_conv", "mul": "channel_mul_conv"}
    used = tuple(kind for kind, name in kinds.items() if begins(head, f"gc_block.{name}."))
    used = used or ("add",)
    first = f"gc_block.{kinds[used[0]]}.0"
    options = _framed(head) | {
        "hidden": width(head, f"{first}.weight", f"{first}.bias"),
        "pooling": "att" if begins(head, "gc_block.conv_mask.") else "avg",
        "fusions": used,
    }
    return Head("gcnet", options)


def _likeness(head: State, config: Config, block: str) -> dict[str, Any]:
    options = _framed(head) | _given(config, {"use_scale": "use_scale", "mode": "mode"})
    options["hidden"] = width(head, f"{block}.g.conv.weight", f"{block}.g.conv.bias")
    if "mode" not in options and not begins(head, f"{block}.theta."):
        options["mode"] = "gaussian"
    return options


def _nonlocal(head: State, config: Config) -> Head:
    return Head("nonlocal", _likeness(head, config, "nl_block"))


def _dnlnet(head: State, config: Config) -> Head:
    options = _likeness(head, config, "dnl_block") | _given(config, {"temperature": "temperature"})
    return Head("dnlnet", options)


def _ccnet(head: State, config: Config) -> Head:
    query = "cca.query_conv"
    options = _framed(head) | {
        "hidden": width(head, f"{query}.weight", f"{query}.bias"),
        "activation": "relu",
        "auxiliary_bias": False,
        **_given(config, {"recurrence": "recurrence"}),
    }
    return Head("ccnet", options)


def _psanet(head: State, config: Config) -> Head:
    both = begins(head, "reduce_p.", "attention_p.")
    names = {"collect": "collect", "distribute": "distribute", "bi-direction": "both"}
    direction = names.get(str(config.get("psa_type")), "both" if both else "collect")
    places = width(head, "attention.1.weight", "attention_p.1.weight")
    side = round(places**0.5)
    size = _pair(config.get("mask_size") or (side, side))
    options = {
        "width": conv_width(head, "reduce"),
        "directions": direction,
        "mask_size": size,
        "variant": "mmsegmentation",
        **_given(
            config,
            {
                "compact": "compact",
                "shrink": "shrink_factor",
                "softmax": "psa_softmax",
            },
        ),
    }
    if "normalization_factor" in config:
        factor = config["normalization_factor"]
        options["normalisation"] = None if factor is None else float(factor)
    told = "PSAHead is other arithmetic than the authors' PSANet (resizing, padding): kept as it is"
    return Head("psanet", options, (told,))


def _scales(head: State, config: Config, published: tuple[int, ...], what: str) -> Any:
    given = config.get("pool_scales") or config.get("filter_sizes")
    if given is not None:
        return tuple(given), ()
    return published, (f"{what} {', '.join(map(str, published))}",)


def _pspnet(head: State, config: Config) -> Head:
    scales, assumed = _scales(head, config, (1, 2, 3, 6), "pooling scales")
    options = {"width": conv_width(head, "bottleneck"), "pool_scales": scales}
    return Head("pspnet", options, assumed=assumed)


def _upernet(head: State, config: Config) -> Head:
    scales, assumed = _scales(head, config, (1, 2, 3, 6), "pooling scales")
    options = {
        "width": conv_width(head, "fpn_bottleneck"),
        "pool_scales": scales,
        "levels": 1 + len({k.split(".")[1] for k in head if k.startswith("lateral_convs.")}),
    }
    return Head("upernet", options, assumed=assumed)


def _fcn(head: State, config: Config) -> Head:
    convs = len({key.split(".")[1] for key in head if key.startswith("convs.")})
    options: dict[str, Any] = {"convs": convs, "concatenate": begins(head, "conv_cat.")}
    options |= _given(config, {"dilation": "dilation"})
    if convs:
        options["width"] = conv_width(head, "convs.0")
        options["kernel_size"] = width(head, "convs.0.conv.weight", axis=2)
    return Head("fcn", options)


def _deeplabv3plus(head: State, config: Config) -> Head:
    dilations = config.get("dilations")
    options = {
        "width": conv_width(head, "aspp_modules.0"),
        "detail_width": conv_width(head, "c1_bottleneck") if begins(head, "c1_bottleneck.") else 0,
        "dilations": tuple(dilations or (1, 12, 24, 36)),
    }
    assumed = () if dilations else ("dilations 1, 12, 24, 36",)
    return Head("deeplabv3plus", options, assumed=assumed)


def _ann(head: State, config: Config) -> Head:
    scales = config.get("key_pool_scales")
    options = {
        "width": conv_width(head, "bottleneck"),
        "key_width": conv_width(head, "fusion.stages.0.query_project"),
        "pool_scales": tuple(scales or (1, 3, 6, 8)),
        "query_scales": (1,)
        * len({k.split(".")[2] for k in head if k.startswith("fusion.stages.")}),
    }
    assumed = () if scales else ("pooling scales 1, 3, 6, 8",)
    return Head("ann", options, assumed=assumed)


def _apcnet(head: State, config: Config) -> Head:
    found = {int(k.split(".")[1]) for k in head if k.startswith("acm_modules.")}
    places = [
        width(head, f"acm_modules.{i}.gla.weight", f"acm_modules.{i}.gla.bias")
        for i in range(max(found, default=-1) + 1)
    ]
    options = {
        "width": conv_width(head, "bottleneck"),
        "pool_scales": tuple(round(count**0.5) for count in places),
        "fusion": any(".fusion_conv." in key for key in head),
    }
    return Head("apcnet", options)


def _dmnet(head: State, config: Config) -> Head:
    sizes, assumed = _scales(head, config, (1, 3, 5, 7), "filter sizes")
    options = {
        "width": conv_width(head, "bottleneck"),
        "filter_sizes": sizes,
        "fusion": any(".fusion_conv." in key for key in head),
    }
    return Head("dmnet", options, assumed=assumed)


def _fpn(head: State, config: Config) -> Head:
    strides = config.get("feature_strides")
    options = {
        "width": conv_width(head, "scale_heads.0.0"),
        "strides": tuple(strides or (4, 8, 16, 32)),
    }
    return Head("fpn", options)


def _segformer(head: State, config: Config) -> Head:
    return Head("segformer", {"width": conv_width(head, "fusion_conv")})


def _authors_segformer(head: State, config: Config) -> Head:
    options = {"width": conv_width(head, "linear_fuse"), "variant": "plain"}
    return Head("segformer", options, (COARSEST_FIRST,))


def _segnext(head: State, config: Config) -> Head:
    chosen = config.get("ham_kwargs") or {}
    norm = config.get("norm_cfg") or {}
    grouped = begins(head, "squeeze.gn.", "align.gn.")
    options: dict[str, Any] = {
        "width": width(head, "align.conv.weight"),
        "ham_width": width(head, "squeeze.conv.weight"),
        "bases": chosen.get("MD_R", 16),
        "norm_groups": norm.get("num_groups", 32) if grouped else None,
        **_given(
            chosen, {"groups": "MD_S", "train_steps": "train_steps", "eval_steps": "eval_steps"}
        ),
    }
    told = "it draws its bases at every call and answers otherwise each time; here they are fixed"
    assumed = () if chosen else ("16 bases, and norms of 32 groups",)
    return Head("segnext", options, (told,), assumed)


def _dpt(head: State, config: Config) -> Head:
    start = "reassemble_blocks"
    readout = "project" if begins(head, f"{start}.readout_projects.") else "ignore"
    given = config.get("readout_type")
    options: dict[str, Any] = {
        "width": width(head, "project.conv.weight"),
        "widths": tuple(width(head, f"{start}.projects.{i}.conv.weight") for i in range(4)),
        "readout": given or readout,
        "norm": begins(head, "project.bn."),
    }
    assumed = () if given or readout == "project" else ("the class token is not read",)
    return Head("dpt", options, assumed=assumed)


def _setr(head: State, config: Config) -> Head:
    convs = len({key.split(".")[1] for key in head if key.startswith("up_convs.")})
    scale = config.get("up_scale")
    options = {
        "width": conv_width(head, "up_convs.0.0"),
        "convs": convs,
        "scale": scale or (4 if convs == 1 else 2),
        "kernel_size": width(head, "up_convs.0.0.conv.weight", axis=2),
    }
    assumed = () if scale else (f"each convolution enlarges by {options['scale']}",)
    return Head("setr", options, assumed=assumed)


SIGNATURES: tuple[tuple[tuple[str, ...], Callable[[State, Config], Head]], ...] = (
    (("pam.", "cam.", "pam_in_conv.", "cam_in_conv."), _danet),
    (("global_relation.", "local_relation."), _isanet),
    (("ema_module.", "ema_in_conv.", "ema_mid_conv."), _emanet),
    (("enc_module.",), _encnet),
    (("gc_block.",), _gcnet),
    (("dnl_block.",), _dnlnet),
    (("nl_block.",), _nonlocal),
    (("cca.",), _ccnet),
    (("attention.", "attention_p.", "reduce."), _psanet),
    (("fpn_bottleneck.", "fpn_convs."), _upernet),
    (("psp_modules.",), _pspnet),
    (("aspp_modules.",), _deeplabv3plus),
    (("fusion.stages.", "context.stages."), _ann),
    (("acm_modules.",), _apcnet),
    (("dcm_modules.",), _dmnet),
    (("scale_heads.",), _fpn),
    (("hamburger.", "squeeze."), _segnext),
    (("reassemble_blocks.", "fusion_blocks."), _dpt),
    (("up_convs.",), _setr),
    (("linear_fuse.", "linear_pred."), _authors_segformer),
    (("fusion_conv.",), _segformer),
    (("convs.", "conv_seg."), _fcn),
)
"""What a head's keys begin with -> how it is read; the first that fits."""
