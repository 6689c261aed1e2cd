"""Adapters of mmsegmentation's heads that pool a map into bins."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.networks.base import Decoder
from pixelwise.networks.decoders.ann import ANN
from pixelwise.networks.decoders.apcnet import APCNet
from pixelwise.networks.decoders.dmnet import DMNet
from pixelwise.networks.decoders.pspnet import PSPNet


def without_norms(module: nn.Module) -> None:
    """What mmsegmentation builds without `norm_cfg`: convolutions with a bias, no norms."""
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                conv = part[0] if isinstance(part, nn.Sequential) else None
                if isinstance(conv, nn.Conv2d):
                    conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
                setattr(part, name, nn.Identity())


def conv(ours: str, key: str) -> dict[str, str]:
    """Our name of a `conv_norm` and of its parts -> the name of a ConvModule and of its parts."""
    return {f"{ours}.0": f"{key}.conv", f"{ours}.1": f"{key}.bn"}


def convs(names: Mapping[str, str], before: tuple[str, str] = ("", "")) -> dict[str, str]:
    own, key = before
    return {k: v for o, t in names.items() for k, v in conv(f"{own}{o}", f"{key}{t}").items()}


def widths(config: dict[str, Any]) -> list[int]:
    found = config["in_channels"]
    return [found] if isinstance(found, int) else list(found)


def outputs(config: dict[str, Any]) -> int:
    return config.get("out_channels") or config["num_classes"]


def given(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: config[name] for name in names if name in config}


def head(
    config: dict[str, Any],
    decoder: Decoder,
    names: Mapping[str, str],
    twins: Mapping[str, str] | None = None,
) -> Subject:
    """A decoder in place of a head; `twins` are second names of parameters, theirs -> theirs."""
    decoder.align_corners = config.get("align_corners", False)
    if config.get("norm_cfg") is None:
        without_norms(decoder)
    index = config.get("in_index", -1)
    chosen: Sequence[int] = [index] if isinstance(index, int) else index

    def run(*maps: Tensor) -> Tensor:
        found = [maps[i] for i in chosen] if len(maps) > len(chosen) else list(maps)
        return decoder(found)

    def shapes() -> Shapes:
        keys = dict(theirs(decoder, {**names, "classify.1": "conv_seg"}))
        for key, shape in list(keys.items()):
            for first, second in (twins or {}).items():
                if key.startswith(first + "."):
                    keys[second + key.removeprefix(first)] = shape
        return keys

    return subject(decoder, shapes, run)


def psp(config: dict[str, Any]) -> Subject:
    decoder = PSPNet(
        widths(config)[-1:],
        outputs(config),
        width=config["channels"],
        auxiliary=False,
        **given(config, "pool_scales"),
    )
    names = {f"grids.{i}": f"psp_modules.{i}.1" for i in range(len(decoder.grids))}
    return head(config, decoder, convs({**names, "join": "bottleneck"}))


def apc(config: dict[str, Any]) -> Subject:
    decoder = APCNet(
        widths(config)[-1:],
        outputs(config),
        width=config["channels"],
        auxiliary=False,
        **given(config, "pool_scales", "fusion"),
    )
    inner = {
        "bins": "pooled_redu_conv",
        "reduce": "input_redu_conv",
        "average": "global_info",
        "mixed": "residual_conv",
        "fuse": "fusion_conv",
    }
    names = conv("join", "bottleneck")
    for i in range(len(decoder.contexts)):
        names |= convs(inner, (f"contexts.{i}.", f"acm_modules.{i}."))
        names[f"contexts.{i}.affinity"] = f"acm_modules.{i}.gla"
    return head(config, decoder, names)


def dm(config: dict[str, Any]) -> Subject:
    decoder = DMNet(
        widths(config)[-1:],
        outputs(config),
        width=config["channels"],
        auxiliary=False,
        **given(config, "filter_sizes", "fusion"),
    )
    names = conv("join", "bottleneck")
    for i in range(len(decoder.filters)):
        own, key = f"filters.{i}.", f"dcm_modules.{i}."
        names |= convs({"reduce": "input_redu_conv", "fuse": "fusion_conv"}, (own, key))
        names |= {f"{own}taps": f"{key}filter_gen_conv", f"{own}norm": f"{key}norm"}
    return head(config, decoder, names)


def ann(config: dict[str, Any]) -> Subject:
    decoder = ANN(
        widths(config),
        outputs(config),
        width=config["channels"],
        key_width=config["project_channels"],
        pool_scales=config.get("key_pool_scales", (1, 3, 6, 8)),
        auxiliary=False,
        **given(config, "query_scales"),
    )
    names, twins = conv("reduce", "bottleneck"), {}
    for block in ("fusion", "context"):
        names |= conv(f"{block}.join", f"{block}.bottleneck")
        for i in range(len(decoder.fusion.stages)):
            stage = f"{block}.stages.{i}."
            names |= convs({"keys": "key_project", "query": "query_project"}, (stage, stage))
            names |= {
                f"{stage}value": f"{stage}value_project",
                f"{stage}project": f"{stage}out_project",
            }
            if block == "context":
                twins[f"{stage}key_project"] = f"{stage}query_project"
    return head(config, decoder, names, twins)


ADAPTERS: dict[str, Adapter] = {
    "mmseg_psp": psp,
    "mmseg_apc": apc,
    "mmseg_dm": dm,
    "mmseg_ann": ann,
}
