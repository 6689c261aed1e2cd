"""Adapters of networks for keypoints: SimpleBaseline, its head in mmpose, and HRNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.convert import fit, recognise
from pixelwise.networks.decoders.simple_baseline import SimpleBaseline
from pixelwise.networks.factory import create_model

HEAD = {"enlarge": "deconv_layers", "classify": "final_layer"}
BODY = "backbone.body."


def head_options(config: Mapping[str, Any]) -> dict[str, Any]:
    count = config.get("num_deconv_layers", 3)
    return {
        "widths": config.get("num_deconv_filters", (256,) * count)[:count],
        "kernels": config.get("num_deconv_kernels", (4,) * count)[:count],
        "bias": config.get("deconv_with_bias", False),
        "kernel_size": config.get("final_conv_kernel", 1),
    }


def narrow(body: Any, width: int) -> None:
    """Give a body the stem that was recorded; timm's always end with 64 channels."""
    for conv, norm in (("conv1", "bn1"), ("conv2", "bn2")):
        if (old := getattr(body, conv, None)) is not None:
            inputs = old.in_channels if conv == "conv1" else width
            setattr(body, conv, with_channels(old, inputs, width))
            setattr(body, norm, nn.BatchNorm2d(width))
    first = body.layer1[0]
    first.conv1 = with_channels(first.conv1, width, first.conv1.out_channels)
    outputs = (first.conv3 if hasattr(first, "conv3") else first.conv2).out_channels
    if width == outputs:
        first.downsample = None
    elif first.downsample is not None:
        first.downsample[0] = with_channels(first.downsample[0], width, outputs)


def with_channels(old: Any, inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, old.kernel_size, old.stride, old.padding, bias=old.bias is not None
    )


def whole(
    arch: str, backbone: str, outputs: int, stem: int, body: Mapping[str, Any], **head: Any
) -> Subject:
    """A network whose code has the body's names without a prefix beside the head's."""
    model = create_model(
        arch, backbone, num_classes=outputs, task="keypoints", backbone_options=body, **head
    )
    narrow(model.backbone.body, stem)

    def load(state: Mapping[str, Tensor]) -> None:
        foreign = recognise(Checkpoint(Path("recorded.pth"), dict(state)))
        assert foreign.config.task == "keypoints"
        fit(model, foreign)

    def own(key: str) -> Tensor:
        inside = model.decoder.reference_name(key)
        name = BODY + key if inside is None else f"decoder.{inside}"
        return model.state_dict(keep_vars=True)[name]

    def shapes() -> Shapes:
        found = {k: tuple(v.shape) for k, v in model.backbone.body.state_dict().items()}
        return found | theirs(model.decoder, HEAD)

    return Subject(model, load, own, shapes, lambda image: model.decoder(model.backbone(image)))


def pose_resnet(config: dict[str, Any]) -> Subject:
    base = config.get("base", 64)
    deep = config["block"] == "Bottleneck"
    body = {
        "layers": config["layers"],
        "channels": [base, 2 * base, 4 * base, 8 * base],
        "style": "caffe" if "caffe" in str(config.get("style", "")).lower() else "pytorch",
    }
    if not deep:
        del body["style"]
    return whole(
        "simple_baseline",
        "resnet50" if deep else "resnet18",
        config["num_joints"],
        base,
        body,
        **head_options(config),
    )


def pose_hrnet(config: dict[str, Any]) -> Subject:
    widths, blocks, stem = config["widths"], config["blocks"], config["stem"]
    stage1 = {"num_modules": 1, "num_branches": 1, "block_type": "BOTTLENECK"}
    stage1 |= {"num_blocks": [blocks], "num_channels": [stem], "fuse_method": "SUM"}
    body: dict[str, Any] = {"stage1": stage1}
    for number, modules in zip((2, 3, 4), config["modules"], strict=True):
        body[f"stage{number}"] = {
            "num_modules": modules,
            "num_branches": number,
            "block_type": config.get("block", "BASIC"),
            "num_blocks": [blocks] * number,
            "num_channels": widths[:number],
            "fuse_method": "SUM",
        }
    return whole(
        "hrnet_pose",
        "hrnet_w18",
        config["num_joints"],
        stem,
        body,
        kernel_size=config["final_conv_kernel"],
    )


def simple_head(config: dict[str, Any]) -> Subject:
    extra = config.get("extra") or {}
    options = head_options({"final_conv_kernel": 1, **config, **extra})
    head = SimpleBaseline([config["in_channels"]], config["out_channels"], **options)
    return subject(head, lambda: theirs(head, HEAD), lambda x: head([x]))


ADAPTERS: dict[str, Adapter] = {
    "pose_resnet@simplebaseline": pose_resnet,
    "pose_hrnet@author": pose_hrnet,
    "simple_head@udppose": simple_head,
}
