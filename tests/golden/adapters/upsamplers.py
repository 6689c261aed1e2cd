"""Adapters of the upsamplers, and of the networks that enlarge maps step by step."""

from typing import Any

from torch import Tensor

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.layers.upsampling.base import Upsampler
from pixelwise.layers.upsampling.registry import create_upsampler
from pixelwise.networks.decoders.upernet import UPerNet


def times(factor: int, upsampler: Upsampler):
    """The authors' upsamplers see no fine map: one of so many times the size stands in."""

    def run(x: Tensor) -> Tensor:
        return upsampler(x, x.new_zeros(len(x), 1, *(factor * side for side in x.shape[2:])))

    return run


def dysample(config: dict[str, Any]) -> Subject:
    upsampler = create_upsampler(
        "dysample",
        config["in_channels"],
        scale=config.get("scale", 2),
        style=config.get("style", "lp"),
        groups=config.get("groups", 4),
        dynamic_range=config.get("dyscope", False),
    )
    names = {"offset": "offset", "reach": "scope"}
    return subject(upsampler, lambda: theirs(upsampler, names), times(upsampler.scale, upsampler))


def carafe(config: dict[str, Any]) -> Subject:
    upsampler = create_upsampler(
        "carafe",
        config["channels"],
        scale=config["scale_factor"],
        kernel_size=config.get("up_kernel", 5),
        groups=config.get("up_group", 1),
        encoder_kernel=config.get("encoder_kernel", 3),
        encoder_dilation=config.get("encoder_dilation", 1),
        hidden=config.get("compressed_channels", 64),
    )
    names = {"reduce": "channel_compressor", "encode": "content_encoder"}
    return subject(upsampler, lambda: theirs(upsampler, names), times(upsampler.scale, upsampler))


FREQFUSION = {
    "reduce_fine": "hr_channel_compressor",
    "reduce": "lr_channel_compressor",
    "low": "content_encoder",
    "high": "content_encoder2",
    "low_window": "hamming_lowpass",
    "high_window": "hamming_highpass",
    "sampling.offset": "dysampler.offset",
    "sampling.fine_offset": "dysampler.hr_offset",
    "sampling.reach": "dysampler.direct_scale",
    "sampling.fine_reach": "dysampler.hr_direct_scale",
    "sampling.fine_norm": "dysampler.norm_hr",
    "sampling.norm": "dysampler.norm_lr",
}
OPTIONS = {
    "compressed_channels": "hidden",
    "lowpass_kernel": "low_kernel",
    "highpass_kernel": "high_kernel",
    "up_group": "groups",
    "encoder_kernel": "encoder_kernel",
    "encoder_dilation": "encoder_dilation",
    "hamming_window": "hamming",
    "comp_feat_upsample": "guided",
    "use_high_pass": "high_pass",
    "hr_residual": "residual",
    "feature_resample": "resample",
    "feature_resample_group": "resample_groups",
    "feature_resample_norm": "resample_norm",
}
"""The authors' options -> ours."""


def freqfusion(padding: str) -> Adapter:
    def adapter(config: dict[str, Any]) -> Subject:
        known = {"hr_channels", "lr_channels", "semi_conv", "scale_factor", "upsample_mode"}
        assert not config.keys() - OPTIONS.keys() - known, f"options without an adapter: {config}"
        assert config.get("scale_factor", 1) == 1, "one kernel per pixel of the fine map"
        options = {ours: config[name] for name, ours in OPTIONS.items() if name in config}
        if not config.get("semi_conv", True):
            options |= {"summed": True, "guided": False}
        upsampler = create_upsampler(
            "freqfusion",
            config["lr_channels"],
            guide_channels=config["hr_channels"],
            padding=padding,
            **options,
        )

        def shapes() -> Shapes:
            return theirs(upsampler, FREQFUSION)

        def run(fine: Tensor, x: Tensor) -> tuple[Tensor, ...]:
            large, sharp, weights = upsampler.with_weights(x, fine)
            return weights.flatten(1, 2), sharp, large

        return subject(upsampler, shapes, run)

    return adapter


def upernet(config: dict[str, Any]) -> Subject:
    channels, scales = config["in_channels"], config.get("pool_scales", (1, 2, 3, 6))
    decoder = UPerNet(
        channels,
        config["num_classes"],
        width=config["channels"],
        pool_scales=tuple(scales),
        levels=len(channels),
        auxiliary=False,
    )
    decoder.align_corners = config.get("align_corners", False)
    theirs_of = {"top": "bottleneck", "join": "fpn_bottleneck"}
    theirs_of |= {f"grids.{i}": f"psp_modules.{i}.1" for i in range(len(scales))}
    for i in range(len(channels) - 1):
        theirs_of |= {f"lateral.{i}": f"lateral_convs.{i}", f"smooth.{i}": f"fpn_convs.{i}"}
    names = {
        f"{ours}.{number}": f"{name}.{part}"
        for ours, name in theirs_of.items()
        for number, part in {"0": "conv", "1": "bn"}.items()
    }
    names["classify.1"] = "conv_seg"
    index = config.get("in_index", range(len(channels)))

    def run(*maps: Tensor) -> Tensor:
        return decoder([maps[i] for i in index])

    return subject(decoder, lambda: theirs(decoder, names), run)


ADAPTERS: dict[str, Adapter] = {
    "dysample@author": dysample,
    "carafe@mmcv": carafe,
    "freqfusion@author": freqfusion("mirror"),
    "freqfusion@author_mmcvop": freqfusion("zeros"),
    "mmseg_uper": upernet,
}
