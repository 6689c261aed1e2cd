"""What can be changed inside the blocks of a residual network, ResNet or HRNet.

    inner    z = W * layer(relu(norm(W' * x)))     before a block's last convolution
    blocks   y = relu(x + layer(norm(W * z)))      before a block's sum

Polarized self-attention stands at `inner` (github.com/DeLightCMU/PSA, Apache-2.0), global context
and channel gates at `blocks` (github.com/xvjiarui/GCNet, Apache-2.0; timm's `attn_layer`).

In place of a block's 3x3 convolution (the second one of a basic block) stands a layer that can
stride and change the width, dilated where it can: a deformable convolution, or ACmix
(https://arxiv.org/abs/2111.14556). Or, where the block strides, what SPD-Conv has there: a
convolution without stride, then blocks of 2x2 pixels become channels (github.com/LabSAINT/SPD-Conv,
ResNet18-SPD and ResNet50-SPD).
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from pixelwise.errors import InputError, unknown
from pixelwise.layers import registry
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.space_to_depth import SpaceToDepth
from pixelwise.ops.space_to_depth import space_to_depth

SPD = SpaceToDepth.key
Block = Any
"""A basic block or a bottleneck of timm, which has no types."""


def attention_layer(key: str, channels: int, options: Mapping[str, Any], place: str) -> Layer:
    """A layer that maps features to features of the same shape, or the error that says why not."""
    layer = registry.create(key, channels, **options)
    if isinstance(layer, FusionLayer) or not layer.keeps_shape:
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


def convolutions() -> list[str]:
    """What can be had in place of a 3x3 convolution."""
    wanted = {"out_channels", "stride"}
    return [*(k for k in registry.available() if wanted <= registry.options(k).keys()), SPD]


def convolve(body: nn.Module, name: str, stage: str, key: str, options: Mapping[str, Any]) -> None:
    """Put what `key` names in place of the 3x3 convolutions of a stage."""
    if key not in convolutions():
        raise unknown("convolution", key, convolutions())
    changed = [
        _space_to_depth(block) if key == SPD else _replaced(block, key, options)
        for block in blocks(body, name, stage, f"convolution {key!r}")
    ]
    if key == SPD and options:
        raise InputError(
            f"convolution={key!r}: has no options such as {', '.join(options)}; leave them out"
        )
    if not any(changed):
        raise InputError(
            f"convolution {key!r} in stage {stage}: no block strides there; take another stage, or"
            " output_stride=32"
        )


def _replaced(block: Block, key: str, options: Mapping[str, Any]) -> bool:
    old, known = block.conv2, registry.options(key)
    exact: dict[str, Any] = {"out_channels": old.out_channels, "stride": old.stride[0]}
    exact |= {"dilation": old.dilation[0], "bias": False}
    exact = {name: value for name, value in exact.items() if name in known}
    new = registry.create(key, old.in_channels, **exact, **options)
    weight = getattr(new, "weight", None)
    if isinstance(weight, nn.Parameter) and weight.shape == old.weight.shape:
        weight.data.copy_(old.weight)  # what was learnt by the convolution
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
