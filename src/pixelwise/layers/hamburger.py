"""Hamburger: every pixel rebuilt from a few non-negative bases that are fitted to its image.

For the projected pixels z in R^(d x n) of one image, k bases b in R^(d x k), which start as random
directions, and the coefficients c in R^(n x k),

    z = relu(W1 x + b1)                         no pixel is negative
    c = softmax_k(z^T b)                        coefficients as they start

and T times, in turn, the updates that never raise the error |z - b c^T| and keep all numbers
non-negative, with a small e,

    c <- c * (z^T b) / (c b^T b + e)            coefficients that fit the bases
    b <- b * (z c) / (b c^T c + e)              bases that fit the coefficients

and once more the first of them. Then

    y = relu(x + norm(W2 b c^T))                what the bases make of each pixel, added

Gradients pass through all steps. With s groups, each c / s channels have bases of their own.

Source: Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021,
https://arxiv.org/abs/2109.04553.
Reference: github.com/open-mmlab/mmsegmentation, decode_heads/ham_head.py (Apache-2.0), Hamburger
with NMF2D, the part of SegNeXt's head between two convolutions. Differences: the bases are drawn
once, from a fixed seed, and kept as a buffer, where the reference draws them at every call and
answers otherwise each time (`draw="always"`); W2 is applied to the bases, never to the map.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import affine, finish, formatted, product
from pixelwise.ops.running.precision import full_precision, statistics_dtype

SMALL = 1e-6


class Hamburger(AttentionLayer):
    """Add to every pixel what a non-negative factorisation of its image makes of it.

    Args:
        channels: Channels of the input and of the output.
        bases: Number k of bases of a group.
        groups: Groups s of channels; they divide the channels.
        train_steps: Steps T in training.
        eval_steps: Steps T in evaluation.
        norm: Whether a batch norm follows W2; without it W2 has a bias.
        draw: When bases are drawn: "once", in the constructor, the same for each layer of a size;
            "training", at every call in training; "always", at every call, so that no two
            answers are the same.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c^2 + (2 T + 2 + s) c k multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    `factorise.bases` is a buffer of (s, c / s, k), which calls never change; whoever has bases for
    each image may put (b, s, c / s, k) there. Checkpoints of networks that draw at every call have
    none, and leave those of the layer.
    """

    key: ClassVar[str] = "hamburger"
    title: ClassVar[str] = "Hamburger (matrix decomposition)"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = (
        "HAM",
        "NMF2D",
        "NMF",
        "LightHam",
        "matrix decomposition attention",
    )
    cost_exponent: float = 1.0
    map_heads: Heads = Heads("sum", "base")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "ham_in.conv": "project",
        "ham.bases": "factorise.bases",
        "ham_out.conv": "expand.0",
        "ham_out.bn": "expand.1",
    }

    def __init__(
        self,
        channels: int,
        *,
        bases: int = 64,
        groups: int = 1,
        train_steps: int = 6,
        eval_steps: int = 7,
        norm: bool = True,
        draw: str = "once",
    ) -> None:
        super().__init__(channels)
        at_least(1, bases=bases, groups=groups)
        at_least(0, train_steps=train_steps, eval_steps=eval_steps)
        one_of(("once", "training", "always"), draw=draw)
        if channels % groups:
            raise InputError(
                f"groups={groups}: must divide channels={channels}; choose another number of groups"
            )
        self.project = nn.Conv2d(channels, channels, 1)
        self.factorise = _Factorisation(
            (groups, channels // groups, bases), (train_steps, eval_steps), draw
        )
        self.expand = conv_norm(channels, channels, activation=None)
        if not norm:
            self.expand = nn.Sequential(nn.Conv2d(channels, channels, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the convolutions as torch does, and draw the bases again: the same ones."""
        reset(self.project, self.expand)
        self.factorise.reset_parameters()

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """With the layer's own bases, where the checkpoint's network drew them at every call."""
        return {"ham.bases": self.factorise.bases} | dict(state_dict)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Project, factorise, expand, add."""
        rebuilt = self.factorise(self.project(x).relu())
        return (x + self.expand(rebuilt)).relu()

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """W2 meets the bases first: the rebuilt map is never written."""
        bases, weights = self._fit(x)
        with full_precision(x):
            conv, normed = self.expand[0], len(self.expand) == 2
            assert isinstance(conv, nn.Conv2d)
            expand, bias = affine(self.expand) if normed else (conv.weight.flatten(1), conv.bias)
            expand = torch.unflatten(expand.to(bases.dtype), 1, bases.shape[1:3])
            mixed = torch.einsum("osd,bsdk->bosk", expand, bases).flatten(2)
            y = torch.bmm(mixed, weights.mT.flatten(1, 2)).to(x.dtype)
        if bias is not None:
            y = y + bias.to(y.dtype)[:, None]
        if normed:
            y = finish(self.expand, y)
        return formatted((x + y.view(x.shape)).relu(), x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """The coefficients c, a head for each base of each group; `at` changes nothing.

        They are not negative, and their sum differs from pixel to pixel. With `draw="always"` they
        are those of the bases of this call.
        """
        _, weights = self._fit(x)
        return Maps(spatial=weights.mT.reshape(x.shape[0], -1, *x.shape[2:]))

    def _fit(self, x: Tensor) -> tuple[Float[Tensor, "b s d k"], Float[Tensor, "b s n k"]]:
        value = product(self.project.weight.flatten(1), self.project.bias, x.flatten(2)).relu()
        with full_precision(x):
            return self.factorise.fit(value)


class _Factorisation(nn.Module):
    """The non-negative factorisation, and the bases that it starts from."""

    bases: Tensor

    def __init__(self, size: tuple[int, int, int], steps: tuple[int, int], draw: str) -> None:
        super().__init__()
        self.train_steps, self.eval_steps = steps
        self.draw = draw
        self.register_buffer("bases", torch.empty(size))

    def reset_parameters(self) -> None:
        seeded = torch.Generator().manual_seed(0)
        drawn = torch.rand(self.bases.shape, generator=seeded, device="cpu")
        self.bases = self.bases.detach()
        self.bases.copy_(nn.functional.normalize(drawn, dim=1))

    def forward(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map that the bases rebuild, by the equations."""
        with full_precision(z):
            kind = statistics_dtype(z)
            value = torch.unflatten(z.flatten(2).to(kind), 1, self.bases.shape[-3:-1])  # (b,s,d,n)
            bases = self._start(value)
            weights = torch.einsum("bsdn,bsdk->bsnk", value, bases).softmax(dim=3)
            for _ in range(self.train_steps if self.training else self.eval_steps):
                weights = self._fitted(value, bases, weights)
                seen = torch.einsum("bsdn,bsnk->bsdk", value, weights)
                gram = torch.einsum("bsnj,bsnk->bsjk", weights, weights)
                bases = bases * seen / (torch.einsum("bsdj,bsjk->bsdk", bases, gram) + SMALL)
            weights = self._fitted(value, bases, weights)
            rebuilt = torch.einsum("bsdk,bsnk->bsdn", bases, weights)
            return rebuilt.flatten(1, 2).view(z.shape).to(z.dtype)

    def fit(self, z: Float[Tensor, "b c n"]) -> tuple[Tensor, Tensor]:
        """The bases after the last step (b, s, d, k), and the coefficients (b, s, n, k).

        The first product of pixels and bases serves both the softmax and the first step.
        """
        value = torch.unflatten(z.to(statistics_dtype(z)), 1, self.bases.shape[-3:-1])
        bases = self._start(value)
        likeness = torch.matmul(value.mT, bases)
        weights = likeness.softmax(dim=3)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            weights = weights * likeness / (torch.matmul(weights, bases.mT @ bases) + SMALL)
            seen = torch.matmul(value, weights)
            bases = bases * seen / (torch.matmul(bases, weights.mT @ weights) + SMALL)
            likeness = torch.matmul(value.mT, bases)
        return bases, weights * likeness / (torch.matmul(weights, bases.mT @ bases) + SMALL)

    def _start(self, value: Float[Tensor, "b s d n"]) -> Float[Tensor, "b s d k"]:
        size = (value.shape[0], *self.bases.shape[-3:])
        if self.draw == "always" or (self.draw == "training" and self.training):
            drawn = torch.rand(size, dtype=value.dtype, device=value.device)
            return nn.functional.normalize(drawn, dim=2)
        return self.bases.to(value.dtype).expand(size)

    def _fitted(self, value: Tensor, bases: Tensor, weights: Tensor) -> Tensor:
        """The coefficients after one step with these bases."""
        seen = torch.einsum("bsdn,bsdk->bsnk", value, bases)
        gram = torch.einsum("bsdj,bsdk->bsjk", bases, bases)
        return weights * seen / (torch.einsum("bsnj,bsjk->bsnk", weights, gram) + SMALL)
