"""Global context block: one attention map, shared by all output pixels.

For pixels x_j in R^c of one image,

    p = softmax_j(w . x_j + beta)               where to look       (one weight per pixel)
    g = sum_j p_j x_j                           what is there       (one vector per image)
    T(g) = W2 relu(norm(W1 g + b1)) + b2        what to make of it  (a bottleneck)
    y_i = x_i * sigmoid(T_mul(g)) + T_add(g)    tell every pixel    (either term may be left out)

Source: Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
Beyond", 2019, https://arxiv.org/abs/1904.11492.
Reference: github.com/xvjiarui/GCNet, mmdet/ops/gcb/context_block.py (Apache-2.0), which is also
mmcv's ContextBlock. Differences: the bottleneck is given by `reduction` or `hidden`, not by a
ratio; fusions are called "add" and "mul"; the context is one product of the map with p, without
copies of the map.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, reduced
from pixelwise.ops.pooling import Pooled, attention_pool, pixel_weights
from pixelwise.ops.running.precision import full_precision, statistics_dtype

FUSIONS = ("add", "mul")


class GlobalContext(AttentionLayer):
    """Tell every pixel one attention-pooled, transformed context vector.

    Args:
        channels: Channels c of the input and of the output.
        reduction: Bottleneck ratio; the hidden width is `channels // reduction`.
        hidden: Hidden width itself, in place of `reduction`.
        pooling: "att" weighs the pixels by attention, "avg" takes their mean.
        fusions: "add" adds the context, "mul" gates the channels by it; with both, the gate
            comes first. Both see the context of the input.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c multiply-adds per pixel; memory linear in h * w.

    Raises:
        InputError: An option is out of range.

    With "add" alone the layer is the identity at initialisation, since W2 and b2 start at zero;
    with "mul" it halves the features. The gradient of beta is zero: a softmax ignores shifts.
    """

    key: ClassVar[str] = "gc"
    title: ClassVar[str] = "Global context block"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "GCBlock",
        "GCNet",
        "ContextBlock",
        "ContextBlock2d",
        "CB2d",
        "GlobalContextModule",
        "GCModule",
        "global context attention",
        "GlobalContextNetwork",
    )
    cost_exponent: float = 1.0
    lean_for_gradients: ClassVar[bool] = True
    benchmark_cases: ClassVar[tuple[str, ...]] = ("reduction=16",)
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv_mask": "score",
        "channel_add_conv.0": "add.reduce",
        "channel_add_conv.1": "add.norm",
        "channel_add_conv.3": "add.expand",
        "channel_mul_conv.0": "mul.reduce",
        "channel_mul_conv.1": "mul.norm",
        "channel_mul_conv.3": "mul.expand",
    }

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 4,
        hidden: int | None = None,
        pooling: str = "att",
        fusions: tuple[str, ...] = ("add",),
    ) -> None:
        super().__init__(channels)
        width = reduced(channels, reduction, hidden)
        one_of(("att", "avg"), pooling=pooling)
        if not fusions or not set(fusions) <= set(FUSIONS) or len(set(fusions)) < len(fusions):
            raise InputError(
                f"fusions={fusions!r}: must name 'add', 'mul' or both, once; e.g. fusions=('add',)"
            )
        self.score = nn.Linear(channels, 1) if pooling == "att" else None
        self.mul = _Transform(channels, width) if "mul" in fusions else None
        self.add = _Transform(channels, width) if "add" in fusions else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: each transform starts as zero."""
        if self.score is not None:
            nn.init.kaiming_normal_(self.score.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(self.score.bias)
        for transform in (self.mul, self.add):
            if transform is not None:
                transform.reset_parameters()

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels of x by the context, add the transformed context, or both."""
        flat = x.flatten(2)  # (b, c, n)
        if self.score is None:
            context = flat.mean(dim=2)
        else:
            scores = [self.score(image.mT) for image in flat]  # of all at once would copy the map
            weights = torch.stack(scores).softmax(dim=1)  # (b, n, 1), over the pixels
            context = torch.bmm(flat, weights)[:, :, 0]
        if self.mul is not None:
            x = x * self.mul(context).sigmoid()[:, :, None, None]
        if self.add is not None:
            x = x + self.add(context)[:, :, None, None]
        return x

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The context is one product of the map with the weights, without copies of the map."""
        with full_precision(x):
            flat, context = self._context(x.flatten(2))
            context = context.to(next(self.parameters()).dtype)
            y = flat.view(x.shape)
            if self.mul is not None:
                y = y * self.mul(context).sigmoid().to(x.dtype)[:, :, None, None]
            if self.add is not None:
                y = y + self.add(context).to(x.dtype)[:, :, None, None]
            return y

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights of the pixels, the same for every `at`; with "mul", the gates of the channels."""
        with full_precision(x):
            flat = x.flatten(2)
            if self.score is None:
                uniform = torch.full_like(flat[:, 0], 1 / flat.shape[2])
                weights = uniform.to(statistics_dtype(x))
            else:
                weights = pixel_weights(flat, self.score.weight[0], self.score.bias)
            gates = None
            if self.mul is not None:
                kind = self.mul.reduce.weight.dtype
                gates = self.mul(self._context(flat)[1].to(kind)).sigmoid()
            return Maps(spatial=weights.view(x.shape[0], 1, *x.shape[2:]), channel=gates)

    def _context(self, flat: Float[Tensor, "b c n"]) -> Pooled:
        if self.score is None:
            return flat, flat.mean(dim=-1, dtype=statistics_dtype(flat))
        return attention_pool(flat, self.score.weight[0], self.score.bias)


class _Transform(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, channels)

    def reset_parameters(self) -> None:
        self.reduce.reset_parameters()
        self.norm.reset_parameters()
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, context: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        return self.expand(self.norm(self.reduce(context)).relu())
