"""MSCAN, the backbone of SegNeXt: four stages of convolutional attention.

    x = norm(C * gelu(norm(C' * x)))    in the first stage: both 3x3 with stride 2
    x = norm(C * x)                     in later stages: 3x3 with stride 2
    x = x + s (n + P2 msca(gelu(P1 n)))             n = norm(x), also the shortcut
    x = x + t W2 gelu(D * W1 norm(x))               D: depthwise 3x3; s, t: per channel
    x = lnorm(x)                        at the end of a stage: of a pixel over its channels

`msca` is `layers/multi_scale_convolutional_attention.py`; the other norms are batch norms.

Source: Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
NeurIPS 2022, https://arxiv.org/abs/2209.08575.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/backbones/mscan.py (Apache-2.0),
version 1.2.2, which has the authors' names. There too the normalised map is both a feature and the
input of the next stage. Difference: any number of input bands. At batch 1 on CPUs, torch 2.15 gives
the reference wrong gradients; here they are right.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import DropPath
from torch import Tensor, nn

from pixelwise.layers.multi_scale_convolutional_attention import MultiScaleConvolutionalAttention
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.networks.backbones.staged import (
    StagedBackbone,
    check_stages,
    drop_rates,
    start_by_outputs,
)
from pixelwise.networks.parts import ChannelNorm

STAGES, MOST_BLOCKS = 4, 64
"""How many names of blocks are known."""
START = 0.01
"""What the factors s and t are at first."""


class _Block(ReferenceWeights):
    """Convolutional attention, then a feed-forward with a depthwise convolution."""

    reference_keys: ClassVar[Mapping[str, str]] = {
        "norm1": "norm1",
        "attn": "attention",
        "norm2": "norm2",
        "mlp.fc1": "expand",
        "mlp.dwconv": "depthwise",
        "mlp.fc2": "project",
        "layer_scale_1": "scale1",
        "layer_scale_2": "scale2",
    }

    def __init__(
        self, width: int, hidden: int, drop: float, kernel_size: int, strips: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.attention = MultiScaleConvolutionalAttention(
            width, kernel_size=kernel_size, strips=strips, projected=True
        )
        self.expand = nn.Conv2d(width, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Conv2d(hidden, width, 1)
        self.scale1, self.scale2 = (nn.Parameter(torch.full((width,), START)) for _ in range(2))
        self.drop = DropPath(drop) if drop else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x = x + self.drop(self.scale1[:, None, None] * self.attention(self.norm1(x)))
        y = self.project(F.gelu(self.depthwise(self.expand(self.norm2(x)))))
        return x + self.drop(self.scale2[:, None, None] * y)


class _Stage(nn.Module):
    """Patches, blocks, norm."""

    def __init__(self, embedding: nn.Sequential, blocks: Sequence[_Block], width: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.Sequential(*blocks)
        self.norm = ChannelNorm(width, eps=1e-5)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.norm(self.blocks(self.embedding(x)))


class MSCAN(StagedBackbone):
    """Multi-scale convolutional attention network, a backbone as timm's are.

    Args:
        in_chans: Input bands.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        expansions: Channels between the matrices of a block, as multiples of each stage's.
        kernel_size: Side of the square of the attention; odd.
        strips: Lengths of its strips; odd.
        drop_path: Probability with which the last block is passed over in training; less before.

    Shape: (b, in_chans, h, w) -> list of (b, widths[i], ceil(h / s), ceil(w / s)), s = 4, 8, 16, 32
    where there are four.
    Raises: InputError for options out of range, or of different lengths.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "patch_embed1.proj": "stages.0.embedding",
        **{
            key: value
            for i in range(STAGES)
            for key, value in {
                f"patch_embed{i + 1}.norm": f"stages.{i}.embedding.1",
                **({f"patch_embed{i + 1}.proj": f"stages.{i}.embedding.0"} if i else {}),
                **{f"block{i + 1}.{j}": f"stages.{i}.blocks.{j}" for j in range(MOST_BLOCKS)},
                f"norm{i + 1}": f"stages.{i}.norm",
            }.items()
        },
    }

    def __init__(
        self,
        in_chans: int = 3,
        *,
        widths: Sequence[int] = (32, 64, 160, 256),
        depths: Sequence[int] = (3, 3, 5, 2),
        expansions: Sequence[int] = (8, 8, 4, 4),
        kernel_size: int = 5,
        strips: Sequence[int] = (7, 11, 21),
        drop_path: float = 0.1,
    ) -> None:
        check_stages(drop_path, widths=widths, depths=depths, expansions=expansions)
        stages, rates = [], drop_rates(drop_path, depths)
        for i, (before, width) in enumerate(pairwise((in_chans, *widths))):
            hidden, seen = expansions[i] * width, tuple(strips)
            blocks = [_Block(width, hidden, rate, kernel_size, seen) for rate in rates[i]]
            embedding = nn.Sequential(nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width))
            if i == 0:
                half = max(width // 2, 1)
                embedding = nn.Sequential(
                    *(nn.Conv2d(before, half, 3, 2, 1), nn.BatchNorm2d(half), nn.GELU()),
                    *(nn.Conv2d(half, width, 3, 2, 1), nn.BatchNorm2d(width)),
                )
            stages.append(_Stage(embedding, blocks, width))
        super().__init__(stages, widths)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Convolutions start normal, by the outputs they feed, and biases at zero."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                start_by_outputs(part)


def variants() -> dict[str, dict[str, Any]]:
    """The published ones: name -> what they have instead of the defaults, which are T's."""
    wide = (64, 128, 320, 512)
    return {
        "mscan_t": {},
        "mscan_s": {"widths": wide, "depths": (2, 2, 4, 2)},
        "mscan_b": {"widths": wide, "depths": (3, 3, 12, 3)},
        "mscan_l": {"widths": wide, "depths": (3, 5, 27, 3), "drop_path": 0.3},
    }
