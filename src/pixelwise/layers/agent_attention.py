"""Agent attention: a few agents gather from all pixels, and all pixels ask the agents.

For pixels x_i, heads of width d, and a agents t, which are the means of the queries over a grid,

    q_i, k_j, v_j = Wq x_i + bq, Wk x_j + bk, Wv x_j + bv
    t = bins(q)                                       sqrt(a) x sqrt(a) means of queries
    A_sj = softmax_j(t_s . k_j / sqrt(d) + B_sj)      where agent s gathers
    G_is = softmax_s(q_i . t_s / sqrt(d) + P_is)      which agents pixel i asks
    o_i = sum_s G_is sum_j A_sj v_j                   G A is attention of rank a, by head
    y_i = Wo (o_i + (D * v)_i) + bo                   D: a 3x3 kernel per channel, biased

B and P are learned, per head and agent: a map of 7 x 7, resized, plus one number per row and one
per column. With a reduction r, k and v are those of norm(Wr * x), a convolution of side and stride
r and a layer norm over channels, and v is resized to the pixels before D.

Source: Han et al., "Agent Attention: On the Integration of Softmax and Linear Attention", ECCV
2024, https://arxiv.org/abs/2312.08874.
Reference: github.com/LeapLabTHU/Agent-Attention, agent_transformer/models/agent_swin.py and
agent_pvt.py (no licence; written from the equations). Differences: the map has its rows and
columns, where the reference has tokens and takes them for a square; numbers per row and column are
resized to maps of other sizes than `size`; Swin's windows are what calls it on each.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Limits, Maps, pixel_index
from pixelwise.layers.shared.parts import reset
from pixelwise.layers.shared.pointwise import formatted, product
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.binned_mean import binned_mean
from pixelwise.ops.resizing import resized
from pixelwise.ops.running.precision import full_precision, statistics_dtype

TABLE = 7
"""Rows and columns of the learned maps that are resized."""


class AgentAttention(AttentionLayer):
    """Give every pixel what a few agents have gathered from the whole map.

    Args:
        channels: Channels c of the input and of the output.
        heads: Heads m; they divide the channels.
        agents: Number a of agents, a square.
        size: Rows and columns of the maps that numbers per row and column are made for, one number
            for both or a pair; on other maps they are resized.
        reduction: By what r the keys and values are coarser than the pixels.
        bias: Whether queries, keys and values have a bias.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w of at least r.

    Cost:
        4 c^2 + (4 a + 9) c multiply-adds per pixel, and a m numbers per pixel are kept.

    Raises:
        InputError: An option is out of range.

    Rows and columns that do not fill a step of r are seen by nobody, as in the reference.
    """

    key: ClassVar[str] = "agent"
    title: ClassVar[str] = "Agent attention"
    year: ClassVar[int] = 2024
    aliases: ClassVar[tuple[str, ...]] = ("Agent Transformer", "Agent-Swin", "Agent-PVT")
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        "q": "query",
        "kv": "keys_values",
        "sr": "reduce",
        "norm": "norm",
        "dwc": "local",
        "proj": "expand",
        "an_bias": "gather.table",
        "ah_bias": "gather.rows",
        "aw_bias": "gather.columns",
        "na_bias": "ask.table",
        "ha_bias": "ask.rows",
        "wa_bias": "ask.columns",
    }

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        agents: int = 49,
        size: int | tuple[int, int] = 14,
        reduction: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, agents=agents, reduction=reduction)
        rows, columns = pair(reduction, size=size)
        self.scale, self.heads = head_width(channels, heads) ** -0.5, heads
        self.side, self.reduction = math.isqrt(agents), reduction
        if self.side**2 != agents:
            near = f"{self.side**2} or {(self.side + 1) ** 2}"
            raise InputError(f"agents={agents}: must be a square; take {near}")
        self.limits = Limits(least=reduction)
        self.query = nn.Linear(channels, channels, bias=bias)
        self.keys_values = nn.Linear(channels, 2 * channels, bias=bias)
        self.reduce = nn.Conv2d(channels, channels, reduction, reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(channels) if reduction > 1 else None
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.expand = nn.Linear(channels, channels)
        self.gather = _Places(heads, agents, rows // reduction, columns // reduction)
        self.ask = _Places(heads, agents, rows, columns, agents_last=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as torch does, and what is learned of places with small numbers."""
        reset(*self.children())
        self.gather.reset_parameters()
        self.ask.reset_parameters()

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """With the one projection of the reference's Swin form as two."""
        found = dict(state_dict)
        for part in ("weight", "bias"):
            if (joint := found.pop(f"qkv.{part}", None)) is not None:
                third = len(joint) // 3
                found |= {f"q.{part}": joint[:third], f"kv.{part}": joint[third:]}
        return found

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Agents gather, pixels ask, and each value is seen around it."""
        query = self.query(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        key, value = self._coarse(x).chunk(2, dim=1)
        agents = self._heads(binned_mean(query, self.side))
        scores = torch.einsum("bmds,bmdn->bmsn", agents, self._heads(key)) * self.scale
        weights = (scores + self.gather(key)).softmax(dim=3)  # of each agent over the map
        gathered = torch.einsum("bmsn,bmdn->bmds", weights, self._heads(value))
        scores = torch.einsum("bmdn,bmds->bmsn", self._heads(query), agents) * self.scale
        weights = (scores + self.ask(x)).softmax(dim=2)  # of each pixel over the agents
        seen = torch.einsum("bmsn,bmds->bmdn", weights, gathered)
        near = self.local(value if self.reduce is None else resized(value, x.shape[2:], False))
        seen = seen.reshape(x.shape) + near
        return self.expand(seen.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Products with channels first: one for query, key and value where these see one map."""
        weight = torch.cat([self.query.weight, self.keys_values.weight])
        bias = None
        if self.query.bias is not None:
            bias = torch.cat([self.query.bias, self.keys_values.bias])
        if self.reduce is None:
            query, key, value = _mapped(weight, bias, x).chunk(3, dim=1)
        else:
            query = _mapped(self.query.weight, self.query.bias, x)
            key, value = self._coarse(x).chunk(2, dim=1)
        with full_precision(x):
            kind = statistics_dtype(x)
            agents = self._heads(binned_mean(query, self.side)).to(kind) * self.scale
            scores = agents.mT @ self._heads(key).to(kind) + self.gather(key).to(kind)
            gathered = self._heads(value).to(kind) @ scores.softmax(dim=3).mT
            scores = agents.mT @ self._heads(query).to(kind) + self.ask(x).to(kind)
            seen = (gathered @ scores.softmax(dim=2)).to(x.dtype)
        near = self.local(value if self.reduce is None else resized(value, x.shape[2:], False))
        seen = seen.flatten(1, 2) + near.flatten(2)
        y = product(self.expand.weight, self.expand.bias, seen)
        return formatted(torch.unflatten(y, 2, x.shape[2:]), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights G A with which the pixel `at` sees the map through its agents, by head.

        With a reduction, the pixels of one step share its weight evenly.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        weight, bias = self.query.weight, self.query.bias
        key, _ = self._coarse(x).chunk(2, dim=1)
        agents = self._heads(_mapped(weight, bias, binned_mean(x, self.side)))
        own = x.flatten(2).select(2, index)[:, :, None, None]
        query = self._heads(_mapped(weight, bias, own))
        with full_precision(x):
            kind = statistics_dtype(x)
            agents = agents.to(kind) * self.scale
            scores = agents.mT @ self._heads(key).to(kind) + self.gather(key).to(kind)
            place = self.ask(x).to(kind).select(2, index)[..., None]
            asked = (agents.mT @ query.to(kind) + place).softmax(dim=2)
            seen = (asked.mT @ scores.softmax(dim=3)).view(*scores.shape[:2], *key.shape[2:])
        if self.reduction > 1:
            r = self.reduction
            seen = seen.repeat_interleave(r, 2).repeat_interleave(r, 3) / r**2
            (h, w), (i, j) = x.shape[2:], seen.shape[2:]
            seen = nn.functional.pad(seen, (0, w - j, 0, h - i))
        return Maps(spatial=seen)

    def _heads(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m d n"]:
        return torch.unflatten(z.flatten(2), 1, (self.heads, -1))

    def _coarse(self, x: Tensor) -> Float[Tensor, "b o i j"]:
        """Keys and values: of the pixels, or of the coarser map that stands for them."""
        pixels = (x if self.reduce is None else self.reduce(x)).permute(0, 2, 3, 1)
        pixels = pixels if self.norm is None else self.norm(pixels)
        return self.keys_values(pixels).permute(0, 3, 1, 2)


class _Places(nn.Module):
    """What agents prefer by place: a map that is resized, and one number per row and column."""

    rows: Tensor
    columns: Tensor

    def __init__(
        self, heads: int, agents: int, rows: int, columns: int, *, agents_last: bool = False
    ) -> None:
        super().__init__()
        self.agents_last = agents_last
        self.table = nn.Parameter(torch.empty(heads, agents, TABLE, TABLE))
        for name, side in (("rows", rows), ("columns", columns)):
            line = (side, agents) if agents_last else (agents, side)
            self.register_parameter(name, nn.Parameter(torch.empty(heads, *line)))

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, like: Float[Tensor, "b c h w"]) -> Float[Tensor, "m a n"]:
        """For a map of the size of `like`."""
        size = like.shape[2:]
        rows, columns = (p.mT if self.agents_last else p for p in (self.rows, self.columns))
        down = resized(rows[..., None], (size[0], 1), False)
        across = resized(columns[:, :, None], (1, size[1]), False)
        return (resized(self.table, size, False) + down + across).flatten(2)


def _mapped(weight: Tensor, bias: Tensor | None, x: Float[Tensor, "b c h w"]) -> Tensor:
    return torch.unflatten(product(weight, bias, x.flatten(2)), 2, x.shape[2:])
