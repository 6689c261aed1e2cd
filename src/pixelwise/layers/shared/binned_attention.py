"""Attention to the means of bins, in place of all pixels: what an asymmetric network is made of.

    k = [bins_s(relu(norm(Wk * l)))]                   the keys: s x s means, for each s
    v = Wo (Wv [bins_s(l)] + bv) + bo                  what is there
    A_ij = softmax_j(q_i . k_j / sqrt(d)),  q = relu(norm(Wq * h))
    y_i = norm(W [sum_j A_ij v_j, h_i])                beside what is here

for pixels h_i of one map and a map l. With s = 1, 3, 6, 8 there are 110 keys, so that memory and
time are linear in h w. Wv, Wo and the part of W that sees the mixture are applied to the bins,
since they commute with means and mixtures; the concatenation is never written. Sources are those
of the network, `ann`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import FusionLayer, Heads, Maps, pixel_index
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.layers.shared.pointwise import (
    affine,
    finish,
    formatted,
    one_layer_keys,
    pointwise,
    product,
)
from pixelwise.ops.attention import attention
from pixelwise.ops.binned_mean import binned_mean
from pixelwise.ops.running.precision import full_precision, statistics_dtype

MOST_STAGES = 8
"""Checkpoints with more attentions per block than this have no names here."""


class BinnedAttention(ReferenceWeights):
    """Attention of the pixels of `high` to means over bins of `low`.

    Args:
        high: Channels of the map that looks, and of what it sees.
        low: Channels of the map that it looks at.
        width: Channels of query, key and value.
        pool_scales: Bins per axis of each grid.
        shared: The query is projected as the key is.
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        **one_layer_keys("query_project", "query"),
        **one_layer_keys("key_project", "keys"),
        "value_project": "value",
        "out_project": "project",
    }

    def __init__(
        self, high: int, low: int, width: int, pool_scales: Sequence[int], *, shared: bool
    ) -> None:
        super().__init__()
        self.pool_scales = tuple(pool_scales)
        self.keys = conv_norm(low, width)
        self.query = None if shared else conv_norm(high, width)
        self.value = nn.Conv2d(low, width, kernel_size=1)
        self.project = nn.Conv2d(width, high, kernel_size=1)

    def reference_name(self, key: str) -> str | None:
        """Our name for `key`; a shared projection goes by either name."""
        if self.query is None and key.startswith("query_project."):
            key = "key_project." + key.removeprefix("query_project.")
        return super().reference_name(key)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with a shared projection once, as the query's where it is there twice."""
        if self.query is not None:
            return state_dict
        twice = {k.replace("query_", "key_", 1) for k in state_dict if k.startswith("query_")}
        return {k: v for k, v in state_dict.items() if k not in twice}

    def forward(
        self, high: Float[Tensor, "b c h w"], low: Float[Tensor, "b e i j"]
    ) -> Float[Tensor, "b c h w"]:
        """What each pixel of `high` sees; with a shared query that is a pixel of `low` as well."""
        keys = self.keys(low)
        query = (keys if self.query is None else self.query(high)).flatten(2)  # (b, d, n)
        key, value = self._bins(keys), self._bins(self.value(low))  # (b, d, m)
        scores = torch.einsum("bdn,bdm->bnm", query, key) * query.shape[1] ** -0.5
        weights = scores.softmax(dim=2)  # over the bins
        seen = torch.einsum("bnm,bdm->bdn", weights, value)
        return self.project(torch.unflatten(seen, 2, high.shape[2:]))

    def lean(
        self,
        high: Float[Tensor, "b c h w"],
        low: Float[Tensor, "b e i j"],
        weight: Float[Tensor, "o c"],
    ) -> Float[Tensor, "b o n"]:
        """`weight` times what each pixel of `high` sees: all projections of bins, not of pixels."""
        query, keys = self._query_and_keys(high, low)
        value = product(self.value.weight.flatten(1), self.value.bias, self._bins(low))
        value = product(self.project.weight.flatten(1), self.project.bias, value)
        value = product(weight, None, value)
        return attention(query, keys, value)

    def weights(
        self, high: Float[Tensor, "b c h w"], low: Float[Tensor, "b e i j"], index: int
    ) -> Float[Tensor, "b scales i j"]:
        """Weights of the pixels of `low` for one pixel of `high`, by each grid of bins.

        A bin's weight is shared evenly by its pixels; the sum over grids and pixels is 1.
        """
        query, keys = self._query_and_keys(high, low)
        with full_precision(high):
            kind = statistics_dtype(high)
            scores = torch.einsum("bd,bdm->bm", query[:, :, index].to(kind), keys.to(kind))
            weights, grids = scores.softmax(dim=1), []
            for bins in self.pool_scales:
                own, weights = weights[:, : bins**2], weights[:, bins**2 :]
                down, across = (_taken(side, bins, weights) for side in low.shape[2:])
                grids.append(down @ torch.unflatten(own, 1, (bins, bins)) @ across.mT)
            return torch.stack(grids, dim=1)

    def _query_and_keys(self, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        keys = pointwise(self.keys, low.flatten(2))
        query = keys if self.query is None else pointwise(self.query, high.flatten(2))
        keys = self._bins(keys.view(low.shape[0], -1, *low.shape[2:]))
        return query * query.shape[1] ** -0.5, keys

    def _bins(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c m"]:
        return torch.cat([binned_mean(x, bins).flatten(2) for bins in self.pool_scales], dim=2)


def _taken(side: int, bins: int, like: Tensor) -> Float[Tensor, "side bins"]:
    """What each bin of an axis takes from each of its places."""
    places = torch.eye(side, dtype=like.dtype, device=like.device)
    return binned_mean(places[None, :, :, None], bins)[0, :, :, 0]


class BinnedAttentionBlock(FusionLayer):
    """What a map sees, by one or more attentions whose answers are added, beside itself.

    The guide is the map that it looks at. Without a key: this is a part of a network.

    Args:
        stages: The attentions.
        channels: Channels of the map that looks, and of the result.
        activation: What follows the norm, as in `conv_norm`.
    """

    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        **{f"stages.{i}": f"stages.{i}" for i in range(MOST_STAGES)},
        **one_layer_keys("bottleneck", "join"),
    }

    def __init__(
        self, stages: Sequence[BinnedAttention], channels: int, activation: str | None
    ) -> None:
        super().__init__(channels)
        self.stages = nn.ModuleList(stages)
        self.join = conv_norm(2 * channels, channels, activation=activation)
        names = [
            f"{bins}x{bins} bins" + (f" of {i}" if len(stages) > 1 else "")
            for i, stage in enumerate(stages)
            for bins in stage.pool_scales
        ]
        self.map_heads = Heads("sum", tuple(names))

    def plain(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b c h w"]:
        """`x`, beside what it sees of `guide`."""
        seen = torch.stack([stage(x, guide) for stage in self.stages]).sum(dim=0)
        return self.join(torch.cat([seen, x], dim=1))

    def lean(
        self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g i j"]
    ) -> Float[Tensor, "b c h w"]:
        """The part of `join` that sees the mixture is applied to the bins as well."""
        weight, bias = affine(self.join)
        seen, own = weight.chunk(2, dim=1)
        y = product(own, bias, x.flatten(2))
        for stage in self._stages():
            y = y + stage.lean(x, guide, seen)
        return formatted(finish(self.join, y).view_as(x), x)

    def maps(
        self,
        x: Float[Tensor, "b c h w"],
        guide: Float[Tensor, "b g i j"],
        at: tuple[int, int] | None = None,
    ) -> Maps:
        """Weights with which the pixel `at` sees the pixels of `guide`; a head is a grid of bins.

        Heads of one attention add up to 1 together, the next attention's follow.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        return Maps(torch.cat([stage.weights(x, guide, index) for stage in self._stages()], dim=1))

    def _stages(self) -> list[BinnedAttention]:
        return [stage for stage in self.stages if isinstance(stage, BinnedAttention)]
