"""What can be changed inside the blocks of a residual network, ResNet or HRNet.

    inner    z = W * layer(relu(norm(W' * x)))     before a block's last convolution
    blocks   y = relu(x + layer(norm(W * z)))      before a block's sum

Polarized self-attention stands at `inner` (github.com/DeLightCMU/PSA, Apache-2.0), global context
and channel gates at `blocks` (github.com/xvjiarui/GCNet, Apache-2.0; timm's `attn_layer`).

In place of a block's 3x3 convolution (the second one of a basic block): "acmix", which knows no
dilation (ACmix, https://arxiv.org/abs/2111.14556), "deform", or, where the block strides, "spd": a
convolution without stride, then blocks of 2x2 pixels become channels (github.com/LabSAINT/SPD-Conv,
ResNet18-SPD and ResNet50-SPD).

Rules of dilation, for a stage that gave up its stride: "contract" leaves the first block with the
dilation of the stage before (timm, torchvision, PyTorch-Encoding, mmsegmentation's bottlenecks),
"full" dilates all blocks alike (semseg, CCNet), "first_conv" dilates the first convolution of basic
blocks only (mmsegmentation's ResNet-18 and -34), "first_block" the first block of a stage only
(mmsegmentation's MobileNetV2).
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from pixelwise.errors import InputError, unknown
from pixelwise.layers.base import AttentionLayer, FusionLayer, Layer
from pixelwise.layers.registry import create
from pixelwise.ops.space_to_depth import space_to_depth

CONVOLUTIONS = ("acmix", "deform", "spd")
DILATIONS = ("contract", "full", "first_conv", "first_block")
Block = Any
"""A basic block or a bottleneck of timm, which has no types."""


def attention_layer(key: str, channels: int, options: Mapping[str, Any], place: str) -> Layer:
    """A layer that maps features to features of the same shape, or the error that says why not."""
    layer = create(key, channels, **options)
    if not isinstance(layer, AttentionLayer) or not layer.keeps_shape:
        why = "takes a second input" if isinstance(layer, FusionLayer) else "changes the shape"
        raise InputError(
            f"attention {place}: layer {key!r} {why} with these options; "
            "take one that maps features to features of the same shape, e.g. 'psa_s'"
        )
    return layer


def attend(body: nn.Module, name: str, place: str, key: str, options: Mapping[str, Any]) -> None:
    """Put a layer into every block of a stage: `place` is "inner3", "blocks3" and the like."""
    kind = place.rstrip("1234")
    for block in blocks(body, name, place.removeprefix(kind), f"attention at {place!r}"):
        basic = isinstance(block, BasicBlock)
        first, last = (block.bn1, block.bn2) if basic else (block.bn2, block.bn3)
        where, taken, width = (
            ("aa", not isinstance(block.aa, nn.Identity), first.num_features)
            if kind == "inner"
            else ("se", block.se is not None, last.num_features)
        )
        if taken:
            raise InputError(
                f"attention at {place!r}: the blocks of {name!r} have a layer there already; take"
                " another place, or a plain backbone such as 'resnet50'"
            )
        setattr(block, where, attention_layer(key, width, options, f"at {place!r}"))


def convolve(body: nn.Module, name: str, stage: str, key: str, options: Mapping[str, Any]) -> None:
    """Put "acmix", "deform" or "spd" in place of the 3x3 convolutions of a stage."""
    if key not in CONVOLUTIONS:
        raise unknown("convolution", key, CONVOLUTIONS)
    changed = [
        _space_to_depth(block) if key == "spd" else _replaced(block, key, options)
        for block in blocks(body, name, stage, f"convolution {key!r}")
    ]
    if key == "spd" and options:
        raise InputError(f"convolution 'spd' has no options, got {', '.join(options)}")
    if not any(changed):
        raise InputError(
            f"convolution 'spd' in stage {stage}: no block strides there; take another stage, or"
            " output_stride=32"
        )


def _replaced(block: Block, key: str, options: Mapping[str, Any]) -> bool:
    old = block.conv2
    exact: dict[str, Any] = {"out_channels": old.out_channels, "stride": old.stride[0]}
    if key == "deform":
        exact |= {"dilation": old.dilation[0], "bias": False}
    new: Any = create(key, old.in_channels, **exact, **options)
    if key == "deform" and new.weight.shape == old.weight.shape:
        new.weight.data.copy_(old.weight)  # what was learnt without offsets
    block.conv2 = new
    return True


class _ToDepth(nn.Module):
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e i j"]:
        return space_to_depth(x, 2)


def _space_to_depth(block: Block) -> bool:
    basic = isinstance(block, BasicBlock)
    place, norm, following = ("conv1", "bn1", "conv2") if basic else ("conv2", "bn2", "conv3")
    old, after = getattr(block, place), getattr(block, following)
    if old.stride != (2, 2):
        return False
    old.stride = (1, 1)
    setattr(block, place, nn.Sequential(old, _ToDepth()))
    setattr(block, norm, type(getattr(block, norm))(4 * old.out_channels))
    wide = nn.Conv2d(
        4 * old.out_channels,
        after.out_channels,
        after.kernel_size,
        padding=after.padding,
        bias=False,
    )
    nn.init.kaiming_normal_(wide.weight, mode="fan_out", nonlinearity="relu")
    setattr(block, following, wide)
    return True


def blocks(body: nn.Module, name: str, stage: str, what: str) -> list[Block]:
    """The residual blocks of a stage, or of all stages where `stage` is empty."""
    stages = [stage] if stage else ["1", "2", "3", "4"]
    parts = [getattr(body, f"{kind}{n}", None) for n in stages for kind in ("layer", "stage")]
    found = [
        module
        for part in parts
        if isinstance(part, nn.Module)
        for module in part.modules()
        if isinstance(module, BasicBlock | Bottleneck)
    ]
    if not found:
        raise InputError(
            f"{what}: backbone {name!r} has no residual blocks there; take one with, such as"
            " 'resnet50' or 'hrnet_w18'"
        )
    return found


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
        raise InputError(f"dilation={rule!r}: backbone {name!r} has no stages that it is made for")
    for stage in stages:
        convs = [m for m in stage.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
        wanted = max(conv.dilation[0] for conv in convs)
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


POOLINGS = ("floor", "ceil")


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


RESIZES = ("nearest", "bilinear", "bilinear_aligned")


def set_resize(body: nn.Module, name: str, how: str) -> None:
    """How an HRNet brings its branches to the same size: timm has "nearest"."""
    if how not in RESIZES:
        raise unknown("resize", how, RESIZES)
    steps = [module for module in body.modules() if isinstance(module, nn.Upsample)]
    if not steps:
        raise InputError(f"resize={how!r} is for HRNets; backbone {name!r} resizes nothing")
    for step in steps:
        step.mode = "nearest" if how == "nearest" else "bilinear"
        step.align_corners = None if how == "nearest" else how == "bilinear_aligned"
