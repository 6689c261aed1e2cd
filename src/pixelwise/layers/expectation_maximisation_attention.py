"""Expectation-maximisation attention: rebuild every pixel from a few bases that fit the image.

For projected pixels v_n = W1 x_n + b1 of one image and k bases mu, T times,

    z_n = softmax_k(mu . v_n)               expectation    (which base explains pixel n)
    m_k = sum_n z_nk v_n / (sum_n z_nk + e)
    mu_k = m_k / (|m_k| + e)                maximisation   (bases move to what they explain)

    r_n = relu(sum_k z_nk mu_k)             rebuilt from the last z, made with the bases before
    y_n = relu(x_n + norm(W2 r_n))          added to the input
    bases <- a bases + (1 - a) mean(mu)     in training: where the next image starts

Source: Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation", 2019,
https://arxiv.org/abs/1907.13426.
Reference: github.com/XiaLiPKU/EMANet, EMAU (its numbers only: the code is GPL-3.0 and was not
read). Differences: the bases are averaged in `forward` in training, not in the training script,
and over all processes; W1 is applied to the bases and to the sums, never to the map. With
variant="mmsegmentation" (github.com/open-mmlab/mmsegmentation, ema_head.py, Apache-2.0) norms are
divided by max(norm, 1e-12) and the mean of the bases is normalised before it is averaged in.
Efficient multi-scale attention, which is also called EMA, is another mechanism.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from pixelwise.checks import at_least, one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Heads, Maps, pixel_index
from pixelwise.layers.shared.parts import conv_norm, reset
from pixelwise.layers.shared.pointwise import pointwise
from pixelwise.ops.running.precision import full_precision, statistics_dtype

Fit = tuple[Float[Tensor, "b k n"], Float[Tensor, "b c k"], Float[Tensor, "b 1 k"]]


class ExpectationMaximisationAttention(AttentionLayer):
    """Add to every pixel what the bases of its image make of it.

    Args:
        channels: Channels c of the input and of the output.
        bases: Number k of bases.
        steps: Number T of expectation and maximisation steps.
        momentum: Share a of the old bases in their moving average.
        norm_momentum: Momentum of the batch norm.
        gradient: Whether gradients pass through the steps. The authors' do not: then W1 and b1
            never learn, and are marked so (`requires_grad` is False).
        variant: "code", or "mmsegmentation", which normalises otherwise.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c^2 + (2 T + 1) c k multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    `bases` is a buffer, changed by `forward` in training alone: by the mean over the batch and,
    where `torch.distributed` is initialised, over all processes.
    """

    key: ClassVar[str] = "ema"
    title: ClassVar[str] = "Expectation-maximization attention"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "EMANet",
        "EMAU",
        "EMA unit",
        "expectation-maximization attention unit",
        "EM attention",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
    between_processes: ClassVar[bool] = True
    map_heads: Heads = Heads("sum", "base")
    reference_keys: ClassVar[Mapping[str, str]] = {
        "mu": "bases",
        "conv1": "project",
        "conv2.0": "expand.0",
        "conv2.1": "expand.1",
        "ema_module.bases": "bases",
        "ema_mid_conv.conv": "project",
        "ema_out_conv.conv": "expand.0",
        "ema_out_conv.bn": "expand.1",
    }
    bases: Tensor

    def __init__(
        self,
        channels: int,
        *,
        bases: int = 64,
        steps: int = 3,
        momentum: float = 0.9,
        norm_momentum: float = 3e-4,
        gradient: bool = False,
        variant: str = "code",
    ) -> None:
        super().__init__(channels)
        at_least(1, bases=bases, steps=steps)
        for name, share in (("momentum", momentum), ("norm_momentum", norm_momentum)):
            if not 0 <= share <= 1:
                raise InputError(f"{name}={share}: must be from 0 to 1; it is a share")
        one_of(("code", "mmsegmentation"), variant=variant)
        self.steps, self.momentum, self.gradient = steps, momentum, gradient
        self.variant = variant
        self.project = nn.Linear(channels, channels).requires_grad_(gradient)
        self.expand = conv_norm(channels, channels, activation=None)
        norm = self.expand[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.momentum = norm_momentum
        self.register_buffer("bases", torch.empty(channels, bases))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do; the bases start as random directions."""
        reset(self.project, self.expand)
        channels, bases = self.bases.shape
        for part in (self.project, self.expand[0]):
            nn.init.normal_(part.get_parameter("weight"), std=math.sqrt(2 / channels))
        with torch.no_grad():
            self.bases.normal_(std=math.sqrt(2 / bases))
            self.bases.div_(self._divisor(self.bases.norm(dim=0)))

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Fit the bases to the image, add what they rebuild; in training, move where they start."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        bases = self.bases.clone().expand(x.shape[0], -1, -1)  # (b, c, k)
        with torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            value = self.project(pixels)
            for _ in range(self.steps):
                weights = torch.einsum("bnc,bck->bnk", value, bases).softmax(dim=2)  # over bases
                shares = weights / self._divisor(weights.sum(dim=1, keepdim=True))
                mean = torch.einsum("bnk,bnc->bck", shares, value)
                bases = mean / self._divisor(mean.norm(dim=1, keepdim=True))
            rebuilt = torch.einsum("bck,bnk->bcn", bases, weights).relu().reshape(x.shape)
        if self.training:
            self._average(bases)
        return (x + self.expand(rebuilt)).relu()

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """W1 is applied to the bases and the sums: the projected map is never written."""
        with full_precision(x):
            weights, bases, _ = self.fit(x)
            seen = torch.bmm(bases, weights).relu_().to(x.dtype)
            if self.training:
                self._average(bases)
        return torch.add(x, pointwise(self.expand, seen).view(x.shape)).relu_()

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` is rebuilt from all pixels, by each base (a head).

        Through base k, the projected pixels v_n make up z_k mu_k at `at`; the rebuilt pixel is
        the sum over bases and pixels.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        index = pixel_index(x, at)
        with full_precision(x):
            weights, _, divisor = self.fit(x)
            part = weights[:, :, index] / divisor[:, 0]
            return Maps(spatial=(part[:, :, None] * weights).view(x.shape[0], -1, *x.shape[2:]))

    def fit(self, x: Float[Tensor, "b c h w"]) -> Fit:
        """The last z, the bases mu after it, and the divisor of sum_n z_nk v_n in them.

        All come in the type of statistics; neither the layer nor its buffers change.
        """
        with full_precision(x), torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            kind = statistics_dtype(x)
            flat = x.flatten(2).to(kind)
            weight, bias = self.project.weight.to(kind), self.project.bias.to(kind)
            # A copy: the buffer may change before the backward pass.
            bases = self.bases.to(kind, copy=True).expand(x.shape[0], -1, -1)
            for _ in range(self.steps):
                query, offset = weight.T @ bases, bias @ bases
                weights = torch.baddbmm(offset[:, :, None], query.mT, flat).softmax(dim=1)
                mass = weights.sum(dim=2)[:, None]
                total = weight @ torch.bmm(flat, weights.mT) + bias[:, None] * mass
                divisor = self._divisor(mass)
                divisor = divisor * self._divisor((total / divisor).norm(dim=1, keepdim=True))
                bases = total / divisor
            return weights, bases, divisor

    def _divisor(self, norm: Tensor) -> Tensor:
        return norm + 1e-6 if self.variant == "code" else norm.clamp(min=1e-12)

    @torch.no_grad()
    def _average(self, bases: Float[Tensor, "b c k"]) -> None:
        mean = bases.mean(dim=0)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(mean)
            mean = mean / distributed.get_world_size()
        if self.variant == "mmsegmentation":
            mean = mean / self._divisor(mean.norm(dim=0))
        self.bases.copy_(self.momentum * self.bases + (1 - self.momentum) * mean)
