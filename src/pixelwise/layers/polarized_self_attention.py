"""What both forms of polarized self-attention share: where to look, and what to look for.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    m = sigmoid(up(Wv sum_n p_n x_n))          which channels matter   (one gate per channel)
    q = Wq mean_n(x_n)                         what to look for        (one vector per image)

The forms differ in `up`, in what q is held against, and in how the gates meet. The products are
taken in the order in which neither Wv x nor, where it can be avoided, V x are written as maps.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import one_of
from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.ops.polarized_gate import pixel_gate, pixel_logits, polarized_gate
from pixelwise.ops.pooling import attention_and_mean_pool
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.streamed_projection import streamed_projection

VARIANTS = ("code", "paper")


class _Gates(NamedTuple):
    flat: Float[Tensor, "b c n"]
    """The map, to be gated by the others."""
    channel: Float[Tensor, "b c"]
    direction: Float[Tensor, "b c"] | None
    """Pixel logits are direction . x + offset."""
    offset: Float[Tensor, "b #n"] | None


class PolarizedSelfAttention(AttentionLayer):
    """The mechanism but for `up` and for how the two gates meet."""

    cost_exponent: float = 1.0
    product: ClassVar[bool]
    """Whether the two gates are multiplied or added."""

    def __init__(self, channels: int, variant: str) -> None:
        super().__init__()
        one_of(VARIANTS, variant=variant)
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
