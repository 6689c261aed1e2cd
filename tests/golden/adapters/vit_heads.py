"""Adapters of mmsegmentation's heads for transformers, and of SegNeXt's parts."""

from typing import Any

import torch
from torch import Tensor

from adapters.pooling import convs, head, outputs, widths
from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.networks.backbones.mscan import MSCAN
from pixelwise.networks.decoders.dpt import DPT
from pixelwise.networks.decoders.segformer import SegFormer
from pixelwise.networks.decoders.segnext import SegNeXt
from pixelwise.networks.decoders.setr import SETR


def segformer(config: dict[str, Any]) -> Subject:
    assert config.get("interpolate_mode", "bilinear") == "bilinear", "other modes are not here"
    decoder = SegFormer(widths(config), outputs(config), width=config["channels"])
    names = {f"levels.{i}": f"convs.{i}" for i in range(len(decoder.levels))}
    return head(config, decoder, convs({**names, "fuse": "fusion_conv"}))


def dpt(config: dict[str, Any]) -> Subject:
    """The recorded inputs are pairs: the map, and the class token, which ours has beside it."""
    readout = config.get("readout_type", "ignore")
    normed = config.get("norm_cfg") is not None
    width = config.get("embed_dims", 768) * (1 if readout == "ignore" else 2)
    decoder = DPT(
        [width] * len(widths(config)),
        outputs(config),
        width=config["channels"],
        widths=config.get("post_process_channels", (96, 192, 384, 768)),
        readout=readout,
        norm=normed,
    )

    def run(*inputs: Tensor) -> Tensor:
        maps = list(inputs[::2])
        if readout != "ignore":
            tokens = [token[:, :, None, None] for token in inputs[1::2]]
            maps = [torch.cat([x, t.expand_as(x)], 1) for x, t in zip(maps, tokens, strict=True)]
        logits = decoder(maps)
        unread = sum(token.sum() for token in inputs[1::2]) * 0 if readout == "ignore" else 0
        return logits + unread  # so that there is a gradient of what is ignored

    def shapes() -> Shapes:
        names = {"classify.1": "conv_seg", "project.0": "project.conv", "project.1": "project.bn"}
        names |= {f"levels.{i}": f"convs.{i}.conv" for i in range(4)}
        start = "reassemble_blocks"
        names |= {f"readouts.{i}": f"{start}.readout_projects.{i}.0" for i in range(4)}
        names |= {f"projects.{i}": f"{start}.projects.{i}.conv" for i in range(4)}
        names |= {f"resizes.{i}": f"{start}.resize_layers.{i}" for i in range(4)}
        units = {"skip": "res_conv_unit1", "unit": "res_conv_unit2"}
        steps = {"first": "conv1", "second": "conv2"}
        for i in range(4):
            names[f"fusions.{i}.project"] = f"fusion_blocks.{i}.project.conv"
            for ours, unit in units.items():
                own, key = f"fusions.{i}.{ours}.", f"fusion_blocks.{i}.{unit}."
                names |= convs(steps, (own, key))
        return theirs(decoder, names)

    return subject(decoder, shapes, run)


def mscan(config: dict[str, Any]) -> Subject:
    square, *strips = config.get("attention_kernel_sizes", (5, (1, 7), (1, 11), (1, 21)))
    body = MSCAN(
        config.get("in_channels", 3),
        widths=config.get("embed_dims", (64, 128, 256, 512)),
        depths=config.get("depths", (3, 4, 6, 3)),
        expansions=config.get("mlp_ratios", (4, 4, 4, 4)),
        kernel_size=square,
        strips=tuple(max(pair) for pair in strips),
        drop_path=config.get("drop_path_rate", 0.0),
    )

    def shapes() -> Shapes:
        names: dict[str, str] = {}
        for i in range(len(body.stages)):
            own, key = f"stages.{i}", f"patch_embed{i + 1}"
            names |= {f"{own}.embedding.0": f"{key}.proj", f"{own}.embedding.1": f"{key}.norm"}
            names[f"{own}.norm"] = f"norm{i + 1}"
            for j in range(len(body.stages[i].blocks)):
                block, theirs_ = f"{own}.blocks.{j}", f"block{i + 1}.{j}"
                names |= {f"{block}.norm{n}": f"{theirs_}.norm{n}" for n in (1, 2)}
                names |= {f"{block}.scale{n}": f"{theirs_}.layer_scale_{n}" for n in (1, 2)}
                steps = {"expand": "fc1", "depthwise": "dwconv", "project": "fc2"}
                names |= {f"{block}.{o}": f"{theirs_}.mlp.{t}" for o, t in steps.items()}
                gate = f"{theirs_}.attn.spatial_gating_unit"
                names |= {f"{block}.attention.project_in": f"{theirs_}.attn.proj_1"}
                names |= {f"{block}.attention.project_out": f"{theirs_}.attn.proj_2"}
                names |= {f"{block}.attention.near": f"{gate}.conv0"}
                names |= {f"{block}.attention.mix": f"{gate}.conv3"}
                for k in range(len(strips)):
                    names[f"{block}.attention.along.{k}"] = f"{gate}.conv{k}_1"
                    names[f"{block}.attention.down.{k}"] = f"{gate}.conv{k}_2"
        names |= {f"stages.0.embedding.{n}": f"patch_embed1.proj.{n}" for n in (0, 1, 3, 4)}
        return theirs(body, names)

    return subject(body, shapes, lambda image: tuple(body(image)))


def light_ham(config: dict[str, Any]) -> Subject:
    """The last input holds the bases, which the recorded code draws at every call."""
    chosen, norm = config.get("ham_kwargs", {}), config.get("norm_cfg") or {}
    groups = chosen.get("MD_S", 1)
    decoder = SegNeXt(
        widths(config),
        outputs(config),
        width=config["channels"],
        ham_width=config.get("ham_channels", 512),
        bases=chosen.get("MD_R", 64),
        groups=groups,
        train_steps=chosen.get("train_steps", 6),
        eval_steps=chosen.get("eval_steps", 7),
        norm_groups=norm.get("num_groups") if norm.get("type") == "GN" else None,
    )
    names = convs({"squeeze": "squeeze", "align": "align"})
    names |= {"hamburger.project": "hamburger.ham_in.conv"}
    names |= convs({"hamburger.expand": "hamburger.ham_out"})
    names |= {"hamburger.factorise": "hamburger.ham"}
    if norm.get("type") == "GN":
        names = {ours: key.replace(".bn", ".gn") for ours, key in names.items()}
    found = head(config, decoder, names)

    def shapes() -> Shapes:
        return {k: v for k, v in found.shapes().items() if k != "hamburger.ham.bases"}

    def run(*inputs: Tensor) -> Tensor:
        *maps, bases = inputs
        decoder.hamburger.factorise.bases = bases.unflatten(0, (-1, groups))
        unread = sum(x.sum() for x in maps) * 0  # so that there is a gradient of all
        return found.run(*maps) + unread

    return subject(decoder, shapes, run)


def setr(config: dict[str, Any]) -> Subject:
    decoder = SETR(
        widths(config)[-1:],
        outputs(config),
        width=config["channels"],
        convs=config.get("num_convs", 1),
        scale=config.get("up_scale", 4),
        kernel_size=config.get("kernel_size", 3),
    )
    decoder.norm.eps = (config.get("norm_layer") or {}).get("eps", 1e-6)
    names = {f"steps.{i}": f"up_convs.{i}.0" for i in range(len(decoder.steps))}
    return head(config, decoder, {**convs(names), "norm": "norm"})


ADAPTERS: dict[str, Adapter] = {
    "mmseg_segformer": segformer,
    "mmseg_dpt": dpt,
    "mmseg_mscan": mscan,
    "mmseg_lightham": light_ham,
    "mmseg_setr_up": setr,
}
