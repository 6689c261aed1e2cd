"""Which timm backbone the weights of a file are, and what its parts are called there.

Every layout renames its backbone's keys to those of torchvision's ResNet, the HRNet of its authors
or mmsegmentation's MobileNetV2; here they become timm's, and depth and widths are read off them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pixelwise.errors import InputError

Names = dict[str, str]
"""Key in the file -> another name."""

RESNETS: Mapping[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}
"""(Bottlenecks, blocks of each stage) -> timm's name."""
RESNET_WIDTHS = (64, 128, 256, 512)
HRNETS = (18, 30, 32, 40, 44, 48, 64)
BASIC, DEEP = "BASIC", "BOTTLENECK"


@dataclass(frozen=True)
class Body:
    """A timm network: its name and options, and its keys."""

    name: str
    title: str
    """What people call it."""
    options: Mapping[str, Any]
    names: Names
    """Key in the file -> key of timm's network."""
    in_channels: int = 3
    differences: tuple[str, ...] = ()


def stem_names(keys: Mapping[str, str]) -> Names:
    """ResNet stems with parts conv1, bn1, conv2, ... (CCNet, openseg) -> timm's `conv1.<n>`.

    `keys` maps keys of the file to what they are inside the backbone; a stem of one convolution
    keeps its names.
    """
    if not any(inner.startswith("conv2.") for inner in keys.values()):
        return dict(keys)
    parts = {
        "conv1": "conv1.0",
        "bn1": "conv1.1",
        "conv2": "conv1.3",
        "bn2": "conv1.4",
        "conv3": "conv1.6",
        "bn3": "bn1",
    }
    return {key: _renamed(inner, parts) for key, inner in keys.items()}


def numbered_names(keys: Mapping[str, str], stem: str) -> Names:
    """Stems that are one sequence, `<stem>.0` to `<stem>.7` (mmsegmentation, semseg) -> timm's."""
    parts = {f"{stem}.{i}": f"conv1.{i}" for i in (0, 1, 3, 4, 6)} | {f"{stem}.7": "bn1"}
    return {key: _renamed(inner, parts) for key, inner in keys.items()}


def _renamed(key: str, parts: Mapping[str, str]) -> str:
    for theirs, ours in parts.items():
        if key.startswith(theirs + "."):
            return ours + key.removeprefix(theirs)
    return key


def resnet(state: Mapping[str, Tensor], names: Names) -> Body:
    """A residual network under torchvision's names, with a stem of one or three convolutions."""
    inside = {inner: state[key] for key, inner in names.items()}
    counts = tuple(_count(inside, rf"layer{i}\.(\d+)\.") for i in (1, 2, 3, 4))
    if not all(counts):
        raise InputError(f"blocks={counts}: no stage of a ResNet may be empty; get the whole file")
    bottleneck = any(".conv3." in inner for inner in inside if inner.startswith("layer"))
    kind = "resnet50" if bottleneck else "resnet18"
    options: dict[str, Any] = {}
    if (bottleneck, counts) not in RESNETS:
        options["layers"] = counts
    name = RESNETS.get((bottleneck, counts), kind)
    widths = tuple(
        _outputs(inside, [f"layer{i}.{j}.conv1.weight" for j in range(count)])
        for i, count in enumerate(counts, start=1)
    )
    if widths != RESNET_WIDTHS:
        options["channels"] = widths
    title = name.replace("resnet", "ResNet-") if "layers" not in options else f"ResNet {counts}"
    first = inside.get("conv1.weight")
    if first is None:
        width = _outputs(inside, ["conv1.0.weight", "conv1.1.weight"])
        options |= {"stem_type": "deep", "stem_width": width}
        title += " with a stem of three convolutions"
        first = inside.get("conv1.0.weight")
    if any(v.ndim == 4 for k, v in inside.items() if k.endswith(".downsample.1.weight")):
        raise InputError(
            "backbone=ResNet-D: pools before its shortcuts, which dilated networks here do"
            " otherwise; take a checkpoint on ResNetV1c"
        )
    channels = 3 if first is None or first.ndim < 2 else first.shape[1]
    return Body(name, title, options, names, channels)


def hrnet(state: Mapping[str, Tensor], names: Names) -> Body:
    """The high-resolution network under its authors' names, which are timm's."""
    inside = {inner: state[key] for key, inner in names.items()}
    options: dict[str, Any] = {}
    stages: dict[str, dict[str, Any]] = {}
    for number, branches in ((1, 1), (2, 2), (3, 3), (4, 4)):
        stages[f"stage{number}"] = _hr_stage(inside, number, branches)
    widths = stages["stage4"]["num_channels"]
    kinds = [stage["block_type"] for stage in stages.values()]
    regular = stages["stage1"]["num_channels"] == (64,) and kinds == [DEEP, *[BASIC] * 3]
    regular = regular and all(
        stage["num_modules"] == modules and set(stage["num_blocks"]) == {4}
        for stage, modules in zip(stages.values(), (1, 1, 4, 3), strict=True)
    )
    doubling = widths == tuple(widths[0] * 2**i for i in range(4))
    name = "hrnet_w18"
    if regular and doubling and widths[0] in HRNETS:
        name = f"hrnet_w{widths[0]}"
    else:
        options |= stages
    first = inside.get("conv1.weight")
    if first is not None and len(first) != 64:
        options["stem_width"] = len(first)
    channels = 3 if first is None or first.ndim < 2 else first.shape[1]
    return Body(name, f"HRNet-W{widths[0]}", options, names, channels)


def _hr_stage(inside: Mapping[str, Tensor], number: int, branches: int) -> dict[str, Any]:
    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    if number == 1:
        blocks = (_count(inside, r"layer1\.(\d+)\."),)
        widths = (_outputs(inside, [f"layer1.{i}.conv1.weight" for i in range(blocks[0])]),)
        modules, deep = 1, any(key.startswith("layer1.0.conv3.") for key in inside)
    else:
        modules = _count(inside, rf"stage{number}\.(\d+)\.")
        start = rf"stage{number}\.\d+\.branches\."
        deep = any(key.startswith(f"stage{number}.0.branches.0.0.conv3.") for key in inside)
        blocks = tuple(_count(inside, rf"{start}{i}\.(\d+)\.") for i in range(branches))
        widths = tuple(
            _outputs(inside, [k for k in inside if re.match(rf"{start}{i}\.\d+\.conv1\.weight", k)])
            for i in range(branches)
        )
    return {
        "num_modules": modules,
        "num_branches": branches,
        "block_type": DEEP if deep else BASIC,
        "num_blocks": blocks,
        "num_channels": widths,
        "fuse_method": "SUM",
    }


MOBILENETS = {
    (112, 16): "035",
    (160, 16): "050",
    (240, 24): "075",
    (320, 32): "100",
    (448, 48): "140",
}
"""Widths of the last and of the third stage -> timm's factor."""


def mobilenet_v2(state: Mapping[str, Tensor], names: Names) -> Body:
    """MobileNetV2 under the names of mmsegmentation."""
    found = {key: _mobile_name(inner) for key, inner in names.items()}
    inside = {inner: state[key] for key, inner in found.items()}
    last, third = (
        _outputs(inside, [f"blocks.{i}.0.conv_pwl.weight", f"blocks.{i}.0.bn3.weight"])
        for i in (6, 2)
    )
    if (last, third) not in MOBILENETS:
        raise InputError(
            f"widths={third, last}: no MobileNetV2 of timm has them in its third and last stage;"
            f" take one of factor {', '.join(f'{int(f) / 100:g}' for f in MOBILENETS.values())}"
        )
    factor = MOBILENETS[last, third]
    return Body(f"mobilenetv2_{factor}", f"MobileNetV2 x{int(factor) / 100:g}", {}, found)


def bisenetv2(names: Names) -> Body:
    """The two branches of BiSeNetV2, whose names its own class knows."""
    return Body("bisenetv2", "its two branches", {}, names)


def _mobile_name(inner: str) -> str:
    inner = re.sub(r"^conv1\.conv\.", "conv_stem.", inner)
    inner = re.sub(r"^conv1\.bn\.", "bn1.", inner)
    match = re.match(r"layer(\d+)\.(\d+)\.conv\.(\d)\.(conv|bn)\.(.*)", inner)
    if match is None:
        return inner
    stage, block, part, kind, rest = match.groups()
    first = stage == "1"
    convs = ("conv_dw", "conv_pw") if first else ("conv_pw", "conv_dw", "conv_pwl")
    if int(part) >= len(convs):
        return inner
    name = convs[int(part)] if kind == "conv" else f"bn{int(part) + 1}"
    return f"blocks.{int(stage) - 1}.{block}.{name}.{rest}"


def _count(inside: Mapping[str, Tensor], pattern: str) -> int:
    found = {int(m[1]) for key in inside if (m := re.match(pattern, key))}
    return max(found) + 1 if found else 0


def _outputs(inside: Mapping[str, Tensor], keys: list[str]) -> int:
    """The width that most of these tensors have: one that is odd is found out later."""
    widths = [len(inside[key]) for key in keys if key in inside and inside[key].ndim]
    if not widths:
        named = ", ".join(keys[:3]) or "the convolutions"
        raise InputError(
            f"{named}: missing, and the backbone's width is read from it; get the whole file"
        )
    return max(set(widths), key=widths.count)
