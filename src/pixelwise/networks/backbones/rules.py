"""Where other codes build the same backbone otherwise: how they dilate, pool and resize.

Rules of dilation, for a stage that gave up its stride: "contract" leaves the first block with the
dilation of the stage before (timm, torchvision, PyTorch-Encoding, mmsegmentation's bottlenecks),
"full" dilates all blocks alike (semseg, CCNet), "first_conv" dilates the first convolution of basic
blocks only (mmsegmentation's ResNet-18 and -34), "first_block" the first block of a stage only
(mmsegmentation's MobileNetV2).
"""

from typing import Any

from timm.models.resnet import BasicBlock, Bottleneck
from torch import nn

from pixelwise.errors import InputError, unknown
from pixelwise.networks.backbones.hrnet import HighResolution, MeetingBranches, keep_finest

DILATIONS = ("contract", "full", "first_conv", "first_block")
POOLINGS = ("floor", "ceil")
FINES = ("stage", "first_block")
RESIZES = ("nearest", "bilinear", "bilinear_aligned", "bilinear_twice")
BRANCHES = ("all", "finest")
STYLES = ("pytorch", "caffe")


def set_multi_grid(body: Any, name: str, dilations: tuple[int, ...]) -> None:
    """Dilate the last stage's blocks one by one."""
    last = getattr(body, "layer4", None)
    if not isinstance(last, nn.Sequential) or len(last) != len(dilations):
        found = f"{len(last)} blocks" if isinstance(last, nn.Sequential) else "no layer4"
        raise InputError(
            f"multi_grid={dilations} needs a residual network with one dilation per block of its"
            f" last stage; backbone {name!r} has {found}"
        )
    for block, dilation in zip(last, dilations, strict=True):
        _dilate(block.conv2, dilation)


def set_dilation(body: Any, name: str, rule: str) -> None:
    """Follow another code's rule of dilation; the body follows "contract"."""
    if rule not in DILATIONS:
        raise unknown("dilation", rule, DILATIONS)
    if rule == "contract":
        return
    mobile: list[Any] = list(getattr(body, "blocks", []))
    stages = [getattr(body, f"layer{i}") for i in (1, 2, 3, 4) if hasattr(body, f"layer{i}")]
    stages = stages or mobile
    if not stages:
        raise InputError(
            f"dilation={rule!r}: backbone {name!r} has no stages that it is made for; leave it out"
        )
    for stage in stages:
        convs = [m for m in stage.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
        wanted = max((conv.dilation[0] for conv in convs), default=1)
        for conv in convs if rule == "full" else ():
            _dilate(conv, wanted)
        for i, block in enumerate(stage if rule == "first_block" else ()):
            for conv in block.modules():
                if conv in convs:
                    _dilate(conv, 1 if i else wanted)
        for i, block in enumerate(stage if rule == "first_conv" else ()):
            if not isinstance(block, BasicBlock):
                raise InputError(f"dilation='first_conv' is for basic blocks; {name!r} has others")
            _dilate(block.conv1, max(wanted // 2, 1) if i == 0 else wanted)
            _dilate(block.conv2, 1)


def _dilate(conv: Any, dilation: int) -> None:
    conv.dilation = (dilation, dilation)
    conv.padding = (dilation * (conv.kernel_size[0] // 2), dilation * (conv.kernel_size[1] // 2))


def set_pooling(body: nn.Module, name: str, how: str) -> None:
    """How a ResNet's first pooling rounds a size that it cannot halve: timm has "floor".

    With "ceil" (CCNet, openseg) the maps of a picture with even sides have one pixel more.
    """
    if how not in POOLINGS:
        raise unknown("pooling", how, POOLINGS)
    step = getattr(body, "maxpool", None)
    if not isinstance(step, nn.MaxPool2d):
        raise InputError(f"pooling={how!r} is for ResNets; backbone {name!r} has no such pooling")
    step.ceil_mode = how == "ceil"


def set_resize(body: nn.Module, name: str, how: str) -> None:
    """How an HRNet brings its branches to the same size: timm has "nearest".

    With "bilinear_twice" (mmsegmentation) a branch is enlarged by 2, 4 or 8 and then brought to the
    size of the other one, which is the same where sides are multiples of 32.
    """
    if how not in RESIZES:
        raise unknown("resize", how, RESIZES)
    if not isinstance(body, HighResolution):
        raise InputError(f"resize={how!r} is for HRNets; backbone {name!r} resizes nothing")
    for module in body.modules():
        if isinstance(module, MeetingBranches):
            module.twice = how == "bilinear_twice"
        if isinstance(module, nn.Upsample):
            module.mode = "nearest" if how == "nearest" else "bilinear"
            module.align_corners = None if how == "nearest" else how == "bilinear_aligned"


def set_fine(body: Any, name: str, how: str) -> None:
    """Which map of stride 8 a MobileNetV3 gives: its stage's last, or its first block's.

    torchvision's LR-ASPP has the first: the stage is cut behind it, and later stages move up.
    """
    if how not in FINES:
        raise unknown("fine", how, FINES)
    if how == "stage":
        return
    places = getattr(body, "_stage_out_idx", None)
    if not isinstance(places, dict) or 3 not in places or len(body.blocks[2]) < 2:
        raise InputError(f"fine={how!r} is for MobileNetV3; backbone {name!r} has no such stage")
    first, *rest = body.blocks[2]
    cut = [nn.Sequential(first), nn.Sequential(*rest)]
    body.blocks = nn.Sequential(*body.blocks[:2], *cut, *body.blocks[3:])
    body._stage_out_idx = {stage + (stage > 3): index for stage, index in places.items()}


def set_branches(body: nn.Module, name: str, how: str) -> None:
    """Which branches the last module of an HRNet gives: all, or for keypoints the finest alone."""
    if how not in BRANCHES:
        raise unknown("branches", how, BRANCHES)
    if how == "all":
        return
    if not isinstance(body, HighResolution):
        raise InputError(f"branches={how!r}: is for HRNets, not for {name!r}; leave it out")
    keep_finest(body)


def set_style(body: nn.Module, name: str, how: str) -> None:
    """Where a bottleneck strides: timm in its 3x3 convolution, Caffe in the 1x1 before that."""
    if how not in STYLES:
        raise unknown("style", how, STYLES)
    if how == "pytorch":
        return
    blocks = [part for part in body.modules() if isinstance(part, Bottleneck)]
    if not blocks:
        raise InputError(
            f"style={how!r}: is for bottlenecks, backbone {name!r} has none; leave it out"
        )
    for block in blocks:
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
