"""Polarized self-attention: a gate for every channel and a gate for every pixel.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    m = sigmoid(up(Wv sum_n p_n x_n))          which channels matter   (one gate per channel)
    q = Wq mean_n(x_n)                         what to look for        (one vector per image)
    s_n = sigmoid(softmax_n(q . V x_n))        which pixels matter, parallel (psa_p)
    s_n = sigmoid(sum_o q_o softmax_n(V x)_o)  the same, sequential (psa_s): of m * x, not of x
    y_n = x_n * m + x_n * s_n                  parallel
    y_n = x_n * m * s_n                        sequential

`up` is U (psa_p) or U2 relu(norm(U1 . + b1)) + b2 (psa_s) in the code. The paper has one form for
both: q becomes softmax_c(Wq mean(x) + bq), s_n = sigmoid(q . (V x_n + bv)), up = norm_c(U . + b)
and all projections have a bias.

Source: Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
2021, https://arxiv.org/abs/2107.00782.
Reference: variant "code": github.com/DeLightCMU/PSA, semantic-segmentation/network/PSA.py, PSA_p
and PSA_s (stride 1). Variant "paper": github.com/xmu-xiaoma666/External-Attention-pytorch,
model/attention/PolarizedSelfAttention.py (MIT). Differences: the products are taken in the
order in which Wv x, V x (psa_p) and m * x (psa_s) are never written as maps.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.layers.base import AttentionLayer, Maps, at_least
from pixelwise.ops.polarized_gate import pixel_gate, pixel_logits, polarized_gate
from pixelwise.ops.pooling import attention_and_mean_pool
from pixelwise.ops.precision import full_precision
from pixelwise.ops.streamed_projection import streamed_projection

VARIANTS = ("code", "paper")


class _Gates(NamedTuple):
    flat: Float[Tensor, "b c n"]
    """The map, to be gated by the others."""
    channel: Float[Tensor, "b c"]
    direction: Float[Tensor, "b c"] | None
    """Pixel logits are direction . x + offset."""
    offset: Float[Tensor, "b #n"] | None


class _PolarizedSelfAttention(AttentionLayer):
    cost_exponent: ClassVar[float] = 1.0
    product: ClassVar[bool]
    """Whether the two gates are multiplied or added."""

    def __init__(self, channels: int, variant: str) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise InputError(f"variant={variant!r}: must be 'code' or 'paper'; use one of them")
        self.variant = variant
        half, biased = channels // 2, variant == "paper"
        self.channel_query = nn.Linear(channels, 1, bias=biased)
        self.channel_value = nn.Linear(channels, half, bias=biased)
        self.spatial_query = nn.Linear(channels, half, bias=biased)
        self.spatial_value = nn.Linear(channels, half, bias=biased)

    def reset_parameters(self) -> None:
        """Initialise as the reference of the variant does: normal in "code", torch's in "paper"."""
        for module in self.children():
            if isinstance(module, nn.Linear | nn.LayerNorm):
                module.reset_parameters()
        if self.variant == "code":
            for module in (
                self.channel_query,
                self.channel_value,
                self.spatial_query,
                self.spatial_value,
            ):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate x by channel and by pixel."""
        with full_precision(x):
            flat, channel, direction, offset = self._gates(x.flatten(2))
            y = polarized_gate(
                flat, channel, direction, offset, product=self.product, softmax=self._softmax
            )
            return y.view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            flat, channel, direction, offset = self._gates(x.flatten(2))
            spatial = pixel_gate(pixel_logits(flat, direction, offset), self._softmax)
            return Maps(spatial=spatial.view(len(x), 1, *x.shape[2:]), channel=channel)

    @property
    def _softmax(self) -> bool:
        return self.variant == "code" and not self.product

    @abstractmethod
    def _expand(self, context: Float[Tensor, "b half"]) -> Float[Tensor, "b c"]:
        """`up` of the formula."""

    def _gates(self, flat: Float[Tensor, "b c n"]) -> _Gates:
        query = self.channel_query
        flat, context, mean = attention_and_mean_pool(flat, query.weight[0], query.bias)
        own = query.weight.dtype
        channel = self._expand(self.channel_value(context.to(own))).sigmoid().to(mean.dtype)
        seen = channel * mean if self.product else mean
        wanted = self.spatial_query(seen.to(own)).to(mean.dtype)
        value = self.spatial_value.weight.to(mean.dtype)
        if self.variant == "code" and self.product:
            weight = value * channel[:, None]
            return _Gates(flat, channel, None, streamed_projection(flat, weight, wanted))
        offset = None
        if self.variant == "paper":
            wanted = wanted.softmax(dim=-1)
            offset = (wanted @ self.spatial_value.bias.to(wanted.dtype))[:, None]
        direction = wanted @ value
        return _Gates(flat, channel, channel * direction if self.product else direction, offset)


class ParallelPolarizedSelfAttention(_PolarizedSelfAttention):
    """Gate the channels and the pixels of the same map, and add the two.

    Args:
        channels: Channels c of the input and of the output, at least 2.
        variant: "code" as the authors released it, "paper" as they wrote it; neither loads the
            other's checkpoints.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        4 c multiply-adds per pixel; no map beside the result is kept.

    Raises:
        InputError: An option is out of range.

    In "code" the pixel gate is nearly constant: a softmax over N pixels, then a sigmoid, which
    lies close to 0.5 + 1 / (4 N).
    """

    key: ClassVar[str] = "psa_p"
    product: ClassVar[bool] = False
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv_q_right": "channel_query",
        "conv_v_right": "channel_value",
        "conv_up": "expand",
        "conv_q_left": "spatial_query",
        "conv_v_left": "spatial_value",
        "ch_wq": "channel_query",
        "ch_wv": "channel_value",
        "ch_wz": "expand",
        "ln": "norm",
        "sp_wq": "spatial_query",
        "sp_wv": "spatial_value",
    }

    def __init__(self, channels: int, *, variant: str = "code") -> None:
        at_least(2, channels=channels)
        super().__init__(channels, variant)
        paper = variant == "paper"
        self.expand = nn.Linear(channels // 2, channels, bias=paper)
        self.norm = nn.LayerNorm(channels) if paper else nn.Identity()
        self.reset_parameters()

    def _expand(self, context: Float[Tensor, "b half"]) -> Float[Tensor, "b c"]:
        return self.norm(self.expand(context))


class SequentialPolarizedSelfAttention(_PolarizedSelfAttention):
    """Gate the channels, then gate the pixels of what that leaves.

    Args:
        channels: Channels c of the input and of the output, at least 8 (2 in the paper's form).
        variant: "code" as the authors released it, "paper" as they wrote it; neither loads the
            other's checkpoints.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        c * c / 2 multiply-adds per pixel in "code", 4 c in "paper"; no map beside the result
        is kept.

    Raises:
        InputError: An option is out of range.
    """

    key: ClassVar[str] = "psa_s"
    product: ClassVar[bool] = True
    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv_q_right": "channel_query",
        "conv_v_right": "channel_value",
        "conv_up.0": "reduce",
        "conv_up.1": "norm",
        "conv_up.3": "expand",
        "conv_q_left": "spatial_query",
        "conv_v_left": "spatial_value",
        "ch_wq": "channel_query",
        "ch_wv": "channel_value",
        "ch_wz": "expand",
        "ln": "norm",
        "sp_wq": "spatial_query",
        "sp_wv": "spatial_value",
    }

    def __init__(self, channels: int, *, variant: str = "code") -> None:
        at_least(2 if variant == "paper" else 8, channels=channels)
        super().__init__(channels, variant)
        half = channels // 2
        if variant == "paper":
            self.expand = nn.Linear(half, channels)
            self.norm = nn.LayerNorm(channels)
        else:
            self.reduce = nn.Linear(half, half // 4)
            self.norm = nn.LayerNorm(half // 4)
            self.expand = nn.Linear(half // 4, channels)
        self.reset_parameters()

    def _expand(self, context: Float[Tensor, "b half"]) -> Float[Tensor, "b c"]:
        if self.variant == "paper":
            return self.norm(self.expand(context))
        return self.expand(self.norm(self.reduce(context)).relu())
