"""Mix transformer (MiT), the backbone of SegFormer: four stages of attention to a reduced map.

    x = norm(C * x)                     C: 7x7 with stride 4, in later stages 3x3 with stride 2
    k = norm(R * norm(x))               R: r x r with stride r; without it where r = 1
    x = x + Wo attend(norm(x), k, k)    heads of softmax(q k / sqrt d) v, q of x, k and v of k
    x = x + W2 gelu(D * W1 norm(x))     D: depthwise 3x3, which stands for positions
    x = norm(x)                         at the end of a stage, of which there are four

All norms are of a pixel over its channels. A map smaller than r gets zeros at its end.

Source: Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers", NeurIPS 2021, https://arxiv.org/abs/2105.15203.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/backbones/mit.py (Apache-2.0), whose
norms have eps 1e-6, and Hugging Face's SegformerModel (Apache-2.0), whose have 1e-5. The names of
both and of the authors' own files are known; NVlabs' code, which is not free, was not read.
Difference: maps smaller than r.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.networks.backbones.mit_block import Block
from pixelwise.networks.backbones.staged import (
    StagedBackbone,
    check_stages,
    drop_rates,
    start_by_outputs,
)

STAGES, MOST_BLOCKS = 4, 64
"""How many names of blocks are known."""


class _Embedding(nn.Module):
    """Overlapping patches: a strided convolution, then a norm; pixels first, channels last."""

    def __init__(self, channels: int, width: int, side: int, stride: int, eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, side, stride, side // 2)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b i j d"]:
        return self.norm(self.conv(x).permute(0, 2, 3, 1))


class _Stage(nn.Module):
    """Patches, blocks, norm."""

    def __init__(self, embedding: _Embedding, blocks: Sequence[Block], eps: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(embedding.conv.out_channels, eps=eps)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.norm(self.blocks(self.embedding(x))).permute(0, 3, 1, 2)


class MixTransformer(StagedBackbone):
    """MiT as a backbone that gives its feature maps, as timm's do.

    Args:
        in_chans: Input bands.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        heads: Of each stage; they divide its channels.
        reductions: Side r of the cells of which each stage's keys and values are made.
        expansion: Channels between the matrices of a block, as a multiple of the stage's.
        drop_path: Probability with which the last block is passed over in training; less before.
        eps: Added to the variance in all norms.

    Shape: (b, in_chans, h, w) -> list of (b, widths[i], ceil(h / s), ceil(w / s)), s = 4, 8, 16, 32
    where there are four.
    Raises: InputError for options out of range, or of different lengths.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        key: value
        for i in range(STAGES)
        for theirs, conv, normed, blocks, last in (
            (f"layers.{i}.0", "projection", "norm", f"layers.{i}.1", f"layers.{i}.2"),
            (f"patch_embed{i + 1}", "proj", "norm", f"block{i + 1}", f"norm{i + 1}"),
            (f"patch_embeddings.{i}", "proj", "layer_norm", f"block.{i}", f"layer_norm.{i}"),
        )
        for key, value in {
            f"{theirs}.{conv}": f"stages.{i}.embedding.conv",
            f"{theirs}.{normed}": f"stages.{i}.embedding.norm",
            last: f"stages.{i}.norm",
            **{f"{blocks}.{j}": f"stages.{i}.blocks.{j}" for j in range(MOST_BLOCKS)},
        }.items()
    }

    def __init__(
        self,
        in_chans: int = 3,
        *,
        widths: Sequence[int] = (32, 64, 160, 256),
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (1, 2, 5, 8),
        reductions: Sequence[int] = (8, 4, 2, 1),
        expansion: int = 4,
        drop_path: float = 0.1,
        eps: float = 1e-6,
    ) -> None:
        check_stages(drop_path, widths=widths, depths=depths, heads=heads, reductions=reductions)
        at_least(1, expansion=expansion)
        for width, count in zip(widths, heads, strict=True):
            if width % count:
                raise InputError(f"heads={count}: must divide the {width} channels; e.g. heads=1")
        stages, rates = [], drop_rates(drop_path, depths)
        for i, (before, width) in enumerate(pairwise((in_chans, *widths))):
            embedding = _Embedding(before, width, *((3, 2) if i else (7, 4)), eps)
            shape = (width, heads[i], reductions[i], expansion)
            blocks = [Block(*shape, rate, eps) for rate in rates[i]]
            stages.append(_Stage(embedding, blocks, eps))
        super().__init__(stages, widths)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Matrices start as N(0, 0.02), convolutions by the outputs they feed, biases at zero."""
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
            elif isinstance(part, nn.Conv2d):
                start_by_outputs(part)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict`, its joined projections of queries, keys and values apart."""
        found: dict[str, Tensor] = {}
        for key, value in state_dict.items():
            start, _, last = key.rpartition(".")
            kind = last.removeprefix("in_proj_")
            if last in ("in_proj_weight", "in_proj_bias") and len(value) % 3 == 0:
                for name, part in zip(("query", "keys", "value"), value.chunk(3), strict=True):
                    found[f"{start}.{name}.{kind}"] = part
            elif start.endswith(".attn.kv") and len(value) % 2 == 0:
                start = start.removesuffix(".kv")
                for name, part in zip(("keys", "value"), value.chunk(2), strict=True):
                    found[f"{start}.{name}.{last}"] = part
            else:
                found[key] = value
        return found


def variants() -> dict[str, dict[str, Any]]:
    """The published ones: name -> what they have instead of the defaults, which are B0's."""
    depths = {
        1: (2, 2, 2, 2),
        2: (3, 4, 6, 3),
        3: (3, 4, 18, 3),
        4: (3, 8, 27, 3),
        5: (3, 6, 40, 3),
    }
    wide = (64, 128, 320, 512)
    return {"mit_b0": {}, **{f"mit_b{i}": {"widths": wide, "depths": d} for i, d in depths.items()}}
