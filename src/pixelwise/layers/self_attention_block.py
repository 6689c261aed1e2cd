"""Self-attention block: every pixel becomes a mixture of all pixels, by likeness.

For pixels x_j in R^c of one image,

    q_i, k_j = fq(x_i), fk(x_j)                 two layers each: convolution, norm, ReLU
    v_j = Wv x_j + bv                           (bv may be left out)
    A_ij = softmax_j(q_i . k_j / sqrt(d))       where pixel i looks        (d the key width)
    y_i = relu(norm(W sum_j A_ij v_j))          what it sees, and nothing of x_i beside that

Source: Yuan et al., "OCNet: Object Context for Semantic Segmentation", 2018,
https://arxiv.org/abs/1809.00916, and Huang et al., "Interlaced Sparse Self-Attention for Semantic
Segmentation", 2019, https://arxiv.org/abs/1907.12273.
Reference: github.com/openseg-group/openseg.pytorch (MIT), SelfAttentionBlock2D of
lib/models/modules/isa_block.py; the class of the same name in base_oc_block.py is `bias=True,
normalise_output=False`, and its `scale` is `pool`. mmsegmentation's SelfAttentionBlock inside its
ISAHead is `value_bias=True`. Difference: the matrix of all pairs is never kept. Norms are batch
norms; the authors' InPlaceABN is a batch norm with `activation="leaky_relu"`.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.base import AttentionLayer, Limits, Maps, pixel_index
from pixelwise.layers.shared.parts import ACTIVATIONS, conv_norm, reset
from pixelwise.layers.shared.pointwise import (
    affine,
    both_layers,
    finish,
    formatted,
    one_layer_keys,
    product,
    two_layer_keys,
    two_layers,
    with_batch_norms,
)
from pixelwise.ops.attention import attention
from pixelwise.ops.corners import corners, spread
from pixelwise.ops.running import choice
from pixelwise.ops.running.precision import full_precision, statistics_dtype

Projections = tuple[Float[Tensor, "b d n"], Float[Tensor, "b d n"], Float[Tensor, "b e n"]]


class SelfAttentionBlock(AttentionLayer):
    """Replace every pixel by a mixture of all pixels, weighed by likeness.

    Args:
        channels: Channels c of the input.
        key_channels: Width of query and key; None is half of `channels`.
        value_channels: Width of the value; None is `channels`.
        out_channels: Channels o of the output; None is `channels`.
        bias: Whether the convolutions have biases.
        value_bias: Whether that of the value has one; None is as `bias` says.
        normalise_output: Whether a norm and an activation follow W.
        pool: Attention runs on the maxima of windows of pool x pool pixels; the result is brought
            back to the input's size bilinearly, with aligned corners.
        activation: "relu", or "leaky_relu" as in InPlaceABN checkpoints.

    Shape:
        (b, c, h, w) -> (b, o, h, w), for any h and w from `pool` up.

    Cost:
        (h w)^2 (key_channels + value_channels) / pool^4 multiply-adds; memory linear in h * w.

    Raises:
        InputError: An option is out of range; the map is smaller than a pooling window.

    Without a norm behind W the output is zero at initialisation, as the authors have it.
    """

    key: ClassVar[str] = "self_attention"
    title: ClassVar[str] = "Self-attention (object context pooling)"
    year: ClassVar[int] = 2018
    aliases: ClassVar[tuple[str, ...]] = (
        "SelfAttentionBlock2D",
        "object context pooling",
        "BaseOC",
        "BaseOC_Module",
        "OCNet",
    )
    cost_exponent: float = 2.0
    max_memory: int | None = None
    """Bytes for the weights of pairs that exist at a time; `limit_memory` sets it."""
    reference_keys: ClassVar[Mapping[str, str]] = {
        **two_layer_keys("f_query", "query"),
        **two_layer_keys("f_key", "keys"),
        "f_value": "value",
        "W.1.0": "project.1",
        "W": "project",
        # mmsegmentation's names.
        **two_layer_keys("query_project", "query"),
        **two_layer_keys("key_project", "keys"),
        "value_project": "value",
        **one_layer_keys("output_project", "project"),
    }

    def __init__(
        self,
        channels: int,
        *,
        key_channels: int | None = None,
        value_channels: int | None = None,
        out_channels: int | None = None,
        bias: bool = False,
        value_bias: bool | None = None,
        normalise_output: bool = True,
        pool: int = 1,
        activation: str = "relu",
    ) -> None:
        super().__init__(channels)
        inner = max(1, channels // 2) if key_channels is None else key_channels
        seen = channels if value_channels is None else value_channels
        outputs = channels if out_channels is None else out_channels
        at_least(1, key_channels=inner, value_channels=seen, out_channels=outputs, pool=pool)
        one_of(ACTIVATIONS, activation=activation)
        self.pool, self.activation = pool, activation
        self.keeps_shape, self.limits = outputs == channels, Limits(least=pool)
        self.query, self.keys = (
            two_layers(channels, inner, bias=bias, activation=activation) for _ in range(2)
        )
        self.value = nn.Conv2d(channels, seen, 1, bias=bias if value_bias is None else value_bias)
        self.project = (
            conv_norm(seen, outputs, bias=bias, activation=activation)
            if normalise_output
            else nn.Conv2d(seen, outputs, kernel_size=1, bias=bias)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: as torch does, but W without a norm starts at zero."""
        reset(self)
        if isinstance(self.project, nn.Conv2d):
            for parameter in self.project.parameters():
                nn.init.zeros_(parameter)

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN."""
        return with_batch_norms(state_dict, self.activation)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """What every pixel sees."""
        pooled = x if self.pool == 1 else F.max_pool2d(x, self.pool)
        parts = (self.query, self.keys, self.value)
        query, key, value = (part(pooled).flatten(2) for part in parts)  # (b, d, n)
        scores = torch.einsum("bdi,bdj->bij", query, key) * query.shape[1] ** -0.5
        weights = scores.softmax(dim=2)  # where pixel i looks
        seen = torch.einsum("bij,bej->bei", weights, value)
        y = self.project(torch.unflatten(seen, 2, pooled.shape[2:]))
        if self.pool > 1:
            y = F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)
        return y

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        """Convolutions as products, with fixed norms in them; no matrix of all pairs."""
        pooled = self._pooled(x)
        seen = self.output(attention(*self.projections(pooled.flatten(2)), self.max_memory))
        y = seen.view(x.shape[0], -1, *pooled.shape[2:])
        if self.pool > 1:
            y = F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)
        return formatted(y, x)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which the pixel `at` sees all pixels; only its row is computed.

        With `pool`, a pixel is a mixture of the four pooled ones around it, and the weight of a
        pooled pixel is shared evenly by those of its window.

        Raises:
            InputError: `at` is missing or outside of the map.
        """
        pixel_index(x, at)
        assert at is not None
        pooled = self._pooled(x)
        (height, width), full = pooled.shape[2:], (x.shape[2], x.shape[3])
        query, key, _ = self.projections(pooled.flatten(2))
        with full_precision(x):
            kind = statistics_dtype(x)
            found = corners(at, full, (height, width))
            places = [query[:, :, row * width + column] for row, column, _ in found]
            own = torch.stack(places, dim=2).to(kind)
            scores = torch.einsum("bdq,bdn->bqn", own, key.to(kind)).softmax(dim=-1)
            mixed = [scores[:, q] * share for q, (*_, share) in enumerate(found)]
            weights = torch.stack(mixed).sum(0)
            return Maps(spatial=spread(weights.view(x.shape[0], 1, height, width), self.pool, full))

    def projections(self, x: Float[Tensor, "b c n"]) -> Projections:
        """Query, scaled by 1 / sqrt(d), key and value of flattened pixels.

        The weights of a pixel sum to one, so that W and the value's convolution are one:
        W sum_j a_ij (V x_j + v) + w = sum_j a_ij ((W V) x_j + W v + w). Where that is less work,
        this is the value, of o channels.
        """
        query, key = both_layers(self.query, x), both_layers(self.keys, x)
        weight, bias = self.value.weight.flatten(1), self.value.bias
        if self._joins(x):
            outer, shift = self._projection()
            if bias is not None:
                own = outer @ bias
                shift = own if shift is None else own + shift
            weight, bias = outer @ weight, shift
        return query * query.shape[1] ** -0.5, key, product(weight, bias, x)

    def output(self, seen: Float[Tensor, "b _ n"]) -> Float[Tensor, "b o n"]:
        """What becomes of the mixtures of values that `projections` gave for as many pixels."""
        y = seen if self._joins(seen) else product(*self._projection(), seen)
        return finish(self.project, y) if isinstance(self.project, nn.Sequential) else y

    def _projection(self) -> tuple[Float[Tensor, "o e"], Float[Tensor, " o"] | None]:
        """W, with its norm if that is fixed."""
        if isinstance(self.project, nn.Sequential):
            return affine(self.project)
        return self.project.weight.flatten(1), self.project.bias

    def _joins(self, x: Float[Tensor, "b _ n"]) -> bool:
        """Whether one matrix stands for W and the value's convolution."""
        if choice.traced():  # a program for all sizes has one form
            return False
        last = self.project[0] if isinstance(self.project, nn.Sequential) else self.project
        assert isinstance(last, nn.Conv2d)
        narrow = last.out_channels <= last.in_channels
        return narrow and x.shape[0] * x.shape[2] > self.channels

    def _pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        return x if self.pool == 1 else F.max_pool2d(x, self.pool)
