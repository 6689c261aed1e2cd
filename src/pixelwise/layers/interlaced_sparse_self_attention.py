"""Interlaced sparse self-attention: attend far, then near, in place of between all pixels.

A map is cut into cells of dh x dw pixels, with zeros around it that fill the last cells. With
sa_G self-attention (the mechanism of `self_attention`) inside each group of pixels G,

    u = sa_far(x)         groups: the pixels at one place of all cells     (far and sparse)
    z = sa_near(u)        groups: the pixels of one cell                   (near and dense)
    y = relu(norm(W [x', z_1, ..., z_m]))                                  with what was there

for m pairs (dh, dw); x' is x, or with several pairs relu(norm(W' x)), m times as wide as z. Any
two pixels are joined by exactly one way: far to the same place in the other's cell, then near.
The zeros are not masked: they are keys and values, and count in the norms' statistics; where
sides are no multiple of the cell's, padding therefore changes what the pixels see.

Source: Huang et al., "Interlaced Sparse Self-Attention for Semantic Segmentation", 2019,
https://arxiv.org/abs/1907.12273.
Reference: github.com/openseg-group/openseg.pytorch (MIT), lib/models/modules/isa_block.py,
ISA_Module; its ISA_Block is `fuse=False`. The ISAHead of mmsegmentation 1.2.2 (Apache-2.0) has the
same between its first and its last convolution with `value_bias=True` and all widths but the key's
alike; it concatenates the other way round, and loading reorders W. Differences: only query, key
and value are brought into groups, since all else is pointwise; the concatenation is never written.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_index
from pixelwise.layers.self_attention_block import SelfAttentionBlock
from pixelwise.layers.shared.interlaced_steps import far_then_near, two_step_weights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import formatted, one_layer_keys, pointwise, with_batch_norms
from pixelwise.ops.cells import crop, pad


class InterlacedSteps(nn.Module):
    """Far, then near attention on a map of whole cells of (rows, columns) pixels."""

    def __init__(
        self, cell: tuple[int, int], far: SelfAttentionBlock, near: SelfAttentionBlock
    ) -> None:
        super().__init__()
        self.cell, self.far, self.near = cell, far, near

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """What every pixel sees; (i, j) is its cell and (r, s) its place in that."""
        (b, c, h, w), (rows, columns) = x.shape, self.cell
        i, j = h // rows, w // columns
        y = x.reshape(b, c, i, rows, j, columns)  # (b, c, i, r, j, s)
        y = y.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)  # (b r s, c, i, j): one place, all cells
        y = torch.unflatten(self.far(y), 0, (b, rows, columns))
        y = y.permute(0, 4, 5, 3, 1, 2).flatten(0, 2)  # (b i j, c, r, s): all places, one cell
        y = torch.unflatten(self.near(y), 0, (b, i, j))
        return y.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)  # (b, o, i r, j s)


class InterlacedSparseSelfAttention(AttentionLayer):
    """Mix every pixel with all others in two sparse steps, and fuse it with the result.

    Args:
        channels: Channels c of the input.
        key_channels: Width of query and key; None is half of `channels`.
        value_channels: Width of the value; None is `channels`.
        out_channels: Channels o of the context z and of the output; None is `channels`.
        down_factors: One (height, width) of the cells for each context, in pixels.
        fuse: Whether W and its norm join x and the contexts; else the output is the one context.
        dropout: Probability with which a channel of the fused output is dropped in training.
        value_bias: Whether the values have biases; no other convolution has.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.

    Shape:
        (b, c, h, w) -> (b, o, h, w), for any h and w. A program exported with free h and w takes
        maps of at least two cells.

    Cost:
        h w (cells + dh dw) (key_channels + value_channels) multiply-adds for each pair, with
        h w / (dh dw) cells; the least for dh dw = sqrt(h w). Memory linear in h * w.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "isa"
    title: ClassVar[str] = "Interlaced sparse self-attention"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "ISA_Module",
        "ISA_Block",
        "ISANet",
        "interlaced self-attention",
        "interlaced attention",
    )
    cost_exponent: float = 2.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        "long_range_sa": "stages.0.far",
        "short_range_sa": "stages.0.near",
        **one_layer_keys("up_conv", "widen"),
        **one_layer_keys("conv_bn", "fusion"),
        # mmsegmentation's names.
        "global_relation": "stages.0.far",
        "local_relation": "stages.0.near",
        **one_layer_keys("out_conv", "fusion"),
    }

    def __init__(
        self,
        channels: int,
        *,
        key_channels: int | None = None,
        value_channels: int | None = None,
        out_channels: int | None = None,
        down_factors: Sequence[Sequence[int]] = ((8, 8),),
        fuse: bool = True,
        dropout: float = 0.0,
        value_bias: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__(channels)
        inner = max(1, channels // 2) if key_channels is None else key_channels
        seen = channels if value_channels is None else value_channels
        outputs = channels if out_channels is None else out_channels
        cells = [tuple(pair) for pair in down_factors]
        if not cells or any(len(pair) != 2 or min(pair) < 1 for pair in cells):
            raise InputError(
                f"down_factors={down_factors!r}: must be pairs (height, width) of at least 1; "
                "e.g. down_factors=((8, 8),)"
            )
        if not fuse and len(cells) > 1:
            raise InputError(
                f"fuse=False: must be True with {len(cells)} down_factors, which give as many "
                "contexts; name one pair, or fuse them"
            )
        if not 0 <= dropout < 1:
            raise InputError(f"dropout={dropout}: must be at least 0 and below 1; e.g. 0.05")
        self.cells = [(rows, columns) for rows, columns in cells]
        self.activation, self.keeps_shape = activation, outputs == channels
        self.map_heads = Heads("mean", tuple(f"cells of {i}x{j}" for i, j in cells))
        self.stages = nn.ModuleList(
            InterlacedSteps(
                cell,
                *(
                    SelfAttentionBlock(
                        width,
                        key_channels=inner,
                        value_channels=seen,
                        out_channels=outputs,
                        value_bias=value_bias,
                        activation=activation,
                    )
                    for width in (channels, outputs)
                ),
            )
            for cell in self.cells
        )
        beside = channels if len(cells) == 1 else outputs * len(cells)
        self.widen = conv_norm(channels, beside, activation=activation) if len(cells) > 1 else None
        joined = beside + outputs * len(cells)
        self.fusion = conv_norm(joined, outputs, activation=activation) if fuse else None
        self.dropout = nn.Dropout2d(dropout)

    def reference_name(self, key: str) -> str | None:
        """As of every layer, where `stages.<number>` holds what a bare block's keys begin with."""
        first, _, rest = key.partition(".")
        number, _, rest = rest.partition(".")
        if first != "stages":
            return super().reference_name(key)
        found = super().reference_name(rest)
        return None if found is None else found.replace("stages.0.", f"stages.{number}.", 1)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN, and x before the context in W."""
        found = dict(with_batch_norms(state_dict, self.activation))
        name = "out_conv.conv.weight"
        if name in found:
            context = len(found[name])
            found[name] = torch.cat([found[name][:, context:], found[name][:, :context]], dim=1)
        return found

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Zeros around the map, what every pixel sees in two steps, and x beside it."""
        height, width = x.shape[2:]
        contexts = []
        for stage, (rows, columns) in zip(self.stages, self.cells, strict=True):
            below, beside = -height % rows, -width % columns  # zeros that fill the last cells ...
            top, left = below // 2, beside // 2  # ... of them the smaller half comes first
            padded = F.pad(x, (left, beside - left, top, below - top))
            seen = stage(padded)
            contexts.append(seen[:, :, top : top + height, left : left + width])
        if self.fusion is None:
            return contexts[0]
        pixels = x if self.widen is None else self.widen(x)
        return self.dropout(self.fusion(torch.cat([pixels, *contexts], dim=1)))

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Only query, key and value are brought into groups; no concatenation is written."""
        contexts = [
            crop(far_then_near(stage.far, stage.near, pad(x, stage.cell), stage.cell), x)
            for stage in self._stages()
        ]
        if self.fusion is None:
            return formatted(contexts[0], x)
        flat = x.flatten(2)
        beside = flat if self.widen is None else pointwise(self.widen, flat)
        fused = pointwise(self.fusion, beside, *(context.flatten(2) for context in contexts))
        return formatted(self.dropout(fused.view(x.shape[0], -1, *x.shape[2:])), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees all pixels through both steps; a head is a pair.

        The weight of a pixel is that of its way to `at`: a_far a_near. The zeros around the map
        have weights too, which are cut off: what is left sums to at most one.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        pixel_index(x, at)
        assert at is not None
        heads = []
        for stage in self._stages():
            padded = pad(x, stage.cell)
            row, column = (
                place + (size - inner) // 2
                for place, size, inner in zip(at, padded.shape[2:], x.shape[2:], strict=True)
            )
            weights = two_step_weights(stage.far, stage.near, padded, stage.cell, (row, column))
            heads.append(crop(weights, x))
        return Maps(spatial=torch.cat(heads, dim=1))

    def _stages(self) -> list[InterlacedSteps]:
        return [stage for stage in self.stages if isinstance(stage, InterlacedSteps)]
