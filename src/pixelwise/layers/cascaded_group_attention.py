"""Cascaded group attention: each head has channels of its own, and what the head before has seen.

The map is cut into windows of n x m pixels. In each, for heads h = 1 .. H with a share x_h of the
channels,

    u_h = x_h + o_(h - 1)                              o_0 = 0: a head sees what the one before saw
    [q, k, v] = norm(W_h u_h)                          queries and keys are narrow, of width d
    p = norm(D_h * q)                                  D_h: one kernel per channel, in the window
    A_ij = softmax_j(p_i . k_j / sqrt(d) + B_h(|i - j|))    one number per distance in rows, columns
    o_hi = sum_j A_ij v_j
    y_i = norm(W relu([o_1 .. o_H]_i))                 all heads

A map that windows do not tile is padded below and to the right with zeros, which take part in the
attention and in the statistics of norms, as in the reference; so is one that is smaller than a
window. The last norm starts at zero: at first y is zero, and the input is to be added around it.

Source: Liu et al., "EfficientViT: Memory Efficient Vision Transformer with Cascaded Group
Attention", CVPR 2023, https://arxiv.org/abs/2305.07027.
Reference: github.com/microsoft/Cream, EfficientViT/classification/model/efficientvit.py (MIT),
LocalWindowAttention, and CascadedGroupAttention, which is one window. Differences: any size of map,
where the reference has the one it was built for; distances always have a gradient, where in
evaluation the reference takes a copy without one, which weights that are loaded later do not reach.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, pair
from pixelwise.errors import InputError
from pixelwise.layers.alterations import transformed
from pixelwise.layers.base import AttentionLayer, Maps, pixel_place
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import formatted, pointwise
from pixelwise.layers.shared.shared_projections import head_width
from pixelwise.ops.cells import join, parted, split
from pixelwise.ops.running.precision import full_precision, statistics_dtype
from pixelwise.ops.shifted_windows import ShiftedWindows

MOST_HEADS = 32
"""Checkpoints with more heads have no names here."""
Head = tuple[Float[Tensor, "g n n"], Float[Tensor, "g d n"]]


class CascadedGroupAttention(AttentionLayer):
    """Give every pixel what heads see in its window, each told by the one before.

    Args:
        channels: Channels of the input and of the output.
        heads: Heads H; they divide the channels.
        key_width: Width d of queries and keys.
        kernels: Sides of the kernels D, odd: one number, or one for each head.
        window_size: Rows and columns of a window, one number for both or a pair.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c^2 (1 + 1 / H) + 2 c d + H d k^2 + n (c + H d) multiply-adds per pixel, for windows of n
        pixels; weights of H n per pixel are kept for backward.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "cga"
    title: ClassVar[str] = "Cascaded group attention"
    year: ClassVar[int] = 2023
    aliases: ClassVar[tuple[str, ...]] = ("EfficientViT", "LocalWindowAttention")
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {
        f"{prefix}{theirs}": ours
        for prefix in ("", "attn.")
        for theirs, ours in {
            **{
                f"{name}.{head}.{part}": f"{own}.{head}.{place}"
                for name, own in (("qkvs", "project"), ("dws", "local"))
                for head in range(MOST_HEADS)
                for part, place in (("c", "0"), ("bn", "1"))
            },
            "proj.1.c": "expand.0",
            "proj.1.bn": "expand.1",
            "attention_biases": "distance",
        }.items()
    }
    offsets: Tensor

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        key_width: int = 16,
        kernels: int | Sequence[int] = 5,
        window_size: int | tuple[int, int] = 7,
    ) -> None:
        super().__init__(channels)
        at_least(1, heads=heads, key_width=key_width)
        width = head_width(channels, heads)
        sides = [kernels] * heads if isinstance(kernels, int) else list(kernels)
        if len(sides) != heads or any(side < 1 or side % 2 == 0 for side in sides):
            raise InputError(
                f"kernels={kernels}: must be an odd number, or one for each of {heads} heads; "
                "for example 5"
            )
        self.windows = ShiftedWindows(pair(1, window_size=window_size), 0)
        self.heads, self.width, self.key_width = heads, width, key_width
        self.project = nn.ModuleList(
            conv_norm(width, 2 * key_width + width, activation=None) for _ in range(heads)
        )
        self.local = nn.ModuleList(_depthwise(key_width, side) for side in sides)
        self.expand = conv_norm(channels, channels, activation=None)
        rows, columns = self.windows.size
        self.distance = nn.Parameter(torch.empty(heads, rows * columns))
        down, across = torch.arange(rows), torch.arange(columns)
        offsets = (down[:, None] - down).abs()[:, None, :, None] * columns
        offsets = offsets + (across[:, None] - across).abs()[:, None]
        self.register_buffer("offsets", offsets.reshape(rows * columns, -1), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: as torch does, but for distances and the last norm."""
        reset(*self.children())
        norm = self.expand[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(self.distance)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Without the index of distances, which follows from the size of the window."""
        return {k: v for k, v in state_dict.items() if not k.endswith("attention_bias_idxs")}

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Head after head in each window."""
        padded = self.windows.rolled(x)  # to whole windows
        groups = self._split(padded)  # (g, c, n, m), a window each
        seen, answers = torch.zeros_like(groups[:, : self.width]), []
        parts = zip(self.project, self.local, groups.chunk(self.heads, 1), strict=True)
        for head, (project, local, own) in enumerate(parts):
            query, key, value = self._widths(_settled(project(own + seen)))
            query = _settled(local(query))
            scores = torch.einsum("gdij,gdkl->gijkl", query, key) * self.key_width**-0.5
            scores = scores + self.distance[head][self.offsets].view(scores.shape[1:])
            weights = scores.flatten(3).softmax(dim=3).view(scores.shape)
            seen = torch.einsum("gijkl,gdkl->gdij", weights, value)
            answers.append(seen)
        y = self.expand(self._join(torch.cat(answers, dim=1).relu(), padded))
        return self.windows.unrolled(y, x)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Norms that are fixed are part of the products."""
        padded = self.windows.rolled(x)
        answers = torch.cat([seen for _, seen in self._cascade(self._split(padded))], dim=1)
        y = self._join(torch.unflatten(answers.relu(), 2, self.windows.size), padded)
        y = pointwise(self.expand, y.flatten(2))
        return formatted(self.windows.unrolled(torch.unflatten(y, 2, padded.shape[2:]), x), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees its window, by head; the map is zero elsewhere.

        They add up to less than 1 where the window reaches into the padding.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        place, padded = pixel_place(x, at), self.windows.rolled(x)
        groups, (down, across) = self._split(padded), self.windows.count(x)
        rows, columns = self.windows.size
        window = place[0] // rows * across + place[1] // columns
        token = place[0] % rows * columns + place[1] % columns
        chosen = torch.arange(x.shape[0], device=x.device) * (down * across) + window
        if not self.training:  # else norms take the statistics of all windows
            groups, chosen = groups[chosen], torch.arange(x.shape[0], device=x.device)
        heads = [weights[chosen].select(1, token) for weights, _ in self._cascade(groups)]
        weights = torch.unflatten(torch.stack(heads, dim=1), 2, self.windows.size)
        lines = zip(x.shape[2:], (rows, columns), place, strict=True)
        for axis, (count, side, own) in enumerate(lines, start=2):
            cell, inside = parted(torch.arange(count, device=x.device), side)
            here = (cell == own // side).to(weights.dtype)
            weights = weights.index_select(axis, inside)
            weights = weights * (here[:, None] if axis == 2 else here)
        return Maps(spatial=weights)

    def _cascade(self, groups: Float[Tensor, "g c n m"]) -> Iterator[Head]:
        """Weights of each head, and what it sees."""
        seen = torch.zeros_like(groups[:, : self.width].flatten(2))
        parts = zip(self.project, self.local, groups.flatten(2).chunk(self.heads, 1), strict=True)
        for head, (project, local, own) in enumerate(parts):
            assert isinstance(project, nn.Sequential)
            query, key, value = self._widths(pointwise(project, own + seen))
            query = local(torch.unflatten(query, 2, self.windows.size))
            query = _settled(query).flatten(2)
            with full_precision(groups):
                kind = statistics_dtype(groups)
                scores = (query.to(kind) * self.key_width**-0.5).mT @ key.to(kind)
                weights = (scores + self.distance[head].to(kind)[self.offsets]).softmax(dim=2)
                seen = (value.to(kind) @ weights.mT).to(groups.dtype)
            yield weights, seen

    def _widths(self, parts: Tensor) -> tuple[Tensor, ...]:
        return torch.split(parts, [self.key_width, self.key_width, self.width], dim=1)

    def _split(self, padded: Float[Tensor, "b c h w"]) -> Float[Tensor, "g c n m"]:
        return torch.unflatten(split(padded, self.windows.size, "cell"), 2, self.windows.size)

    def _join(self, groups: Float[Tensor, "g c n m"], padded: Tensor) -> Float[Tensor, "b c h w"]:
        return join(groups.flatten(2), padded, self.windows.size, "cell")


def _depthwise(channels: int, side: int) -> nn.Sequential:
    """A kernel per channel that keeps the size, and a batch norm."""
    kernel = nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels, bias=False)
    return nn.Sequential(kernel, nn.BatchNorm2d(channels))


def _settled(normed: Tensor) -> Tensor:
    """What a batch norm gives, whose gradient comes as it is laid out.

    On CPUs torch misreads other layouts where there is one row, or one window.
    """
    if normed.requires_grad and not torch.compiler.is_compiling() and not transformed():
        normed.register_hook(_as_it_lies)  # type: ignore[no-untyped-call]
    return normed


def _as_it_lies(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else grad.contiguous()
