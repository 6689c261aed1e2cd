"""Parts that several decoders share, and other codes' names for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.ops.resized_convolution import resized_convolution

ONE_MAP = "features='last' joins no maps; give features='all' too"
"""Why a decoder has nothing to enlarge."""


def classifier(channels: int, outputs: int, *, dropout: float = 0.1) -> nn.Sequential:
    """Dropout of whole channels (part 0) and a 1x1 convolution to the outputs (part 1)."""
    return nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(channels, outputs, kernel_size=1))


def conv_modules(names: Mapping[str, str]) -> dict[str, str]:
    """Names of convolutions with a norm in mmsegmentation -> parts 0 and 1 of a `conv_norm`.

    `{"bottleneck": "reduce"}` gives `{"bottleneck.conv": "reduce.0", "bottleneck.bn": "reduce.1"}`.
    """
    parts = {"conv": "0", "bn": "1"}
    return {
        f"{theirs}.{part}": f"{ours}.{number}"
        for theirs, ours in names.items()
        for part, number in parts.items()
    }


class ChannelNorm(nn.LayerNorm):
    """Layer norm of each pixel over its channels.

    Args:
        channels: Width of the map.
        eps: Added to the variance.

    Shape: (b, channels, h, w) -> the same.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The normalised map."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def double_convolution(channels: int, outputs: int, *, bias: bool = False) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and ReLU: a U-Net's step at one resolution."""
    return nn.Sequential(
        conv_norm(channels, outputs, 3, bias=bias), conv_norm(outputs, outputs, 3, bias=bias)
    )


def double_convolutions(names: Mapping[str, str]) -> dict[str, str]:
    """Names of those in one sequence of six parts -> parts 0 and 1 of both `conv_norm`."""
    parts = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1"}
    return {
        f"{theirs}.conv.{part}": f"{ours}.{place}"
        for theirs, ours in names.items()
        for part, place in parts.items()
    }


def share(channels: int, parts: int, given: int | None) -> int:
    """A width: `given`, or the channels in so many `parts`, at least 1."""
    return max(channels // parts, 1) if given is None else given


def inner_width(channels: int, width: int | None) -> int:
    """Channels inside a decoder: `width`, or a quarter of those of its feature map."""
    inner = share(channels, 4, width)
    at_least(1, width=inner)
    return inner


def refuse_one_image(decoder: nn.Module, x: Float[Tensor, "b c h w"]) -> None:
    """For a decoder that normalises one vector per image: training needs several images.

    Raises:
        InputError: `decoder` is in training and `x` is one image.
    """
    if decoder.training and len(x) < 2:
        raise InputError(
            f"{type(decoder).__name__} got a batch of {len(x)}: must be at least 2 in training, "
            "since one vector per image is normalised over the batch; raise batch_size"
        )


def join_resized(
    part: nn.Sequential,
    x: Float[Tensor, "b c h w"],
    coarse: Sequence[Float[Tensor, "b _ _ _"]],
    *,
    align_corners: bool,
    coarse_first: bool = False,
) -> Float[Tensor, "b o h w"]:
    """What a `conv_norm` makes of `x` and small maps, resized to its size and concatenated.

    Neither is written; see `ops/resized_convolution.py`.
    """
    conv = part[0]
    assert isinstance(conv, nn.Conv2d)
    if coarse_first:
        small, own = conv.weight.tensor_split([conv.in_channels - x.shape[1]], dim=1)
    else:
        own, small = conv.weight.tensor_split([x.shape[1]], dim=1)
    y = F.conv2d(x, own, conv.bias, padding=conv.padding)
    if coarse:
        y = y + resized_convolution(coarse, small, x, align_corners)
    for rest in part[1:]:
        y = rest(y)
    return y


def join_pointwise(
    part: nn.Sequential,
    maps: Sequence[Float[Tensor, "b _ _ _"]],
    resized: Callable[[Tensor, Tensor], Tensor],
) -> Float[Tensor, "b o h w"]:
    """What a 1x1 `conv_norm` without bias makes of maps at the size of the first, concatenated.

    W [x_1, up(x_2), ...] = sum_i up(W_i x_i): each map is mixed at its own size, and the joined one
    is not written. `resized(x, like)` is a linear resizing.
    """
    conv = part[0]
    assert isinstance(conv, nn.Conv2d)
    weights = torch.split(conv.weight, [x.shape[1] for x in maps], dim=1)
    y, *others = (F.conv2d(x, weight) for x, weight in zip(maps, weights, strict=True))
    for other in others:
        y = y + resized(other, y)
    for rest in part[1:]:
        y = rest(y)
    return y


class StageHead(ReferenceWeights):
    """3x3 convolution, dropout, 1x1 convolution to the outputs: the usual auxiliary head.

    Args:
        channels: Width of the feature map.
        outputs: Logits per pixel.
        width: Channels in between; None is a quarter of `channels`.
        bias: The 3x3 convolution has a bias.
        dropout: Probability with which a value is dropped in training.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.

    Shape: (b, channels, h, w) -> (b, outputs, h, w).
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv5": "layers",  # PyTorch-Encoding
        **conv_modules({"convs.0": "layers"}),  # mmsegmentation
        "conv_seg": "layers.4",
        "": "layers",  # semseg: one plain sequence
        "1.0": "layers.1",  # openseg, CCNet: norm and activation are one part
        "3": "layers.4",
    }

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        width: int | None = None,
        bias: bool = False,
        dropout: float = 0.1,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        hidden = inner_width(channels, width)
        self.layers = nn.Sequential(
            *conv_norm(channels, hidden, 3, bias=bias, activation=activation),
            nn.Dropout(dropout),
            nn.Conv2d(hidden, outputs, kernel_size=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits at the feature map's size."""
        return self.layers(x)
