"""Adapters of networks for keypoints: SimpleBaseline, its head in mmpose, and HRNet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from adapters.subject import Adapter, Later, Shapes, Subject, subject, theirs
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.convert import fit, recognise
from pixelwise.networks.decoders.simple_baseline import SimpleBaseline
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import Segmenter

HEAD = {"enlarge": "deconv_layers", "classify": "final_layer"}
BODY = "backbone.body."


def head_options(config: Mapping[str, Any]) -> dict[str, Any]:
    filters = config.get("num_deconv_filters")
    count = config.get("num_deconv_layers", 3 if filters is None else len(filters))
    return {
        "widths": (filters or (256,) * count)[:count],
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


def whole(build: Callable[[Shapes], Segmenter]) -> Subject:
    """A network whose code has the body's names without a prefix beside the head's.

    It is built when the recorded weights are known, or from no shapes where there are none.
    """
    holder = Later()

    def load(state: Mapping[str, Tensor]) -> None:
        holder.module = build({key: tuple(value.shape) for key, value in state.items()})
        foreign = recognise(Checkpoint(Path("recorded.pth"), dict(state)))
        assert foreign.config.task == "keypoints"
        fit(holder.module, foreign)

    def own(key: str) -> Tensor:
        inside = holder.module.decoder.reference_name(key)
        name = BODY + key if inside is None else f"decoder.{inside}"
        return holder.module.state_dict(keep_vars=True)[name]

    def shapes() -> Shapes:
        model = build({})
        found = {k: tuple(v.shape) for k, v in model.backbone.body.state_dict().items()}
        return found | theirs(model.decoder, HEAD)

    def run(image: Tensor) -> Tensor:
        return holder.module.decoder(holder.module.backbone(image))

    return Subject(holder, load, own, shapes, run)


def built(
    arch: str, backbone: str, outputs: int, stem: int, body: Mapping[str, Any], **head: Any
) -> Segmenter:
    model = create_model(
        arch, backbone, num_classes=outputs, task="keypoints", backbone_options=body, **head
    )
    if stem != 64:
        narrow(model.backbone.body, stem)
        model.backbone.channels[0] = stem
    return model


def pose_resnet(config: dict[str, Any]) -> Subject:
    base, block = config.get("base", 64), config["block"].casefold()
    deep = block.startswith("bottleneck")
    body = {"layers": config["layers"], "channels": [base, 2 * base, 4 * base, 8 * base]}
    if deep and "caffe" in block + str(config.get("style", "")).casefold():
        body["style"] = "caffe"
    return whole(
        lambda _: built(
            "simple_baseline",
            "resnet50" if deep else "resnet18",
            config["num_joints"],
            base,
            body,
            **head_options(config),
        )
    )


def stage(widths: list[int], modules: int, blocks: int | list[int], block: str) -> dict[str, Any]:
    counts = [blocks] * len(widths) if isinstance(blocks, int) else blocks[: len(widths)]
    found = {"num_modules": modules, "num_branches": len(widths), "block_type": block}
    return found | {"num_blocks": counts, "num_channels": widths, "fuse_method": "SUM"}


def pose_hrnet(config: dict[str, Any]) -> Subject:
    stem, block = config.get("stem", 64), config.get("block", "BASIC").upper()

    def build(known: Shapes) -> Segmenter:
        entry = [k for k in known if k.startswith("layer1.") and k.endswith(".conv1.weight")]
        first = config.get("stem_blocks") or len(entry) or 1
        body = {"stage1": stage([stem], 1, first, "BOTTLENECK")}
        for number, modules in enumerate(config["modules"], start=2):
            widths = config["widths"][:number]
            body[f"stage{number}"] = stage(widths, modules, config["blocks"], block)
        side = config.get("final_conv_kernel", 1)
        return built("hrnet_pose", "hrnet_w18", config["num_joints"], stem, body, kernel_size=side)

    return whole(build)


def simple_head(config: dict[str, Any]) -> Subject:
    extra = config.get("extra") or {}
    options = head_options({"final_conv_kernel": 1, **config, **extra})
    channels = config["in_channels"]
    first = channels if isinstance(channels, int) else channels[0]
    last = [first, *options["widths"]][-1]
    outputs = config["out_channels"] if options["kernel_size"] else last
    head = SimpleBaseline([first], outputs, **options)
    return subject(head, lambda: theirs(head, HEAD), lambda *maps: head(maps[:1]))


ADAPTERS: dict[str, Adapter] = {
    "pose_resnet@simplebaseline": pose_resnet,
    "pose_hrnet@author": pose_hrnet,
    "simple_head@udppose": simple_head,
}
