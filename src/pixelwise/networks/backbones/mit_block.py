"""A block of the mix transformer, see `mit.py`: attention to a reduced map, then a feed-forward."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import DropPath
from torch import Tensor, nn

from pixelwise.layers.reference import ReferenceWeights


class _ReducedAttention(nn.Module):
    """Attention of all pixels to those of a smaller map."""

    def __init__(self, width: int, heads: int, reduction: int, eps: float) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.query, self.keys, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)
        self.reduce = nn.Conv2d(width, width, reduction, reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(width, eps=eps) if reduction > 1 else None

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        b, h, w, c = x.shape
        small, r = x, self.reduction
        if self.reduce is not None and self.norm is not None:
            small = x.permute(0, 3, 1, 2)
            if torch.compiler.is_exporting() or min(h, w) < r:  # a program has one way for all
                missing: list[Any] = [torch.sym_max(r - side, 0) for side in (w, h)]
                small = F.pad(small, (0, missing[0], 0, missing[1]))
            small = self.norm(self.reduce(small).permute(0, 2, 3, 1))
        query, keys, value = (
            part(y).reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
            for part, y in ((self.query, x), (self.keys, small), (self.value, small))
        )
        seen = F.scaled_dot_product_attention(query, keys, value)
        return self.project(seen.transpose(1, 2).reshape(b, h, w, c))


class _MixedFeedForward(nn.Module):
    """Two matrices per pixel, and between them a depthwise convolution."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        y = self.depthwise(self.expand(x).permute(0, 3, 1, 2))
        return self.project(F.gelu(y.permute(0, 2, 3, 1)))


class Block(ReferenceWeights):
    """Attention to a reduced map, then the mixed feed-forward, each added to its input.

    Shape: (b, h, w, c) -> the same.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        # mmsegmentation's names, its joined projections cut in three.
        "attn.attn": "attention",
        "attn.attn.out_proj": "attention.project",
        "ffn.layers.0": "mix.expand",
        "ffn.layers.1": "mix.depthwise",
        "ffn.layers.4": "mix.project",
        # The authors' names, some of which mmsegmentation shares.
        "norm1": "norm1",
        "norm2": "norm2",
        "attn.q": "attention.query",
        "attn": "attention",  # the parts of "attn.kv", cut in two
        "attn.proj": "attention.project",
        "attn.sr": "attention.reduce",
        "attn.norm": "attention.norm",
        "mlp.fc1": "mix.expand",
        "mlp.fc2": "mix.project",
        # Hugging Face's names.
        "layer_norm_1": "norm1",
        "layer_norm_2": "norm2",
        "attention.self.query": "attention.query",
        "attention.self.key": "attention.keys",
        "attention.self.value": "attention.value",
        "attention.self.sr": "attention.reduce",
        "attention.self.layer_norm": "attention.norm",
        "attention.output.dense": "attention.project",
        "mlp.dense1": "mix.expand",
        "mlp.dwconv.dwconv": "mix.depthwise",
        "mlp.dense2": "mix.project",
    }

    def __init__(
        self, width: int, heads: int, reduction: int, expansion: int, drop: float, eps: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attention = _ReducedAttention(width, heads, reduction, eps)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mix = _MixedFeedForward(width, expansion * width)
        self.drop = DropPath(drop) if drop else nn.Identity()

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """The map after one block."""
        x = x + self.drop(self.attention(self.norm1(x)))
        return x + self.drop(self.mix(self.norm2(x)))
