"""Sequential polarized self-attention: channel gates, then pixel gates of what they leave.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    r = sum_n p_n x_n                          what is there           (one vector per image)
    m = sigmoid(U2 relu(norm(U1 Wv r)) + b2)   which channels matter   (one gate per channel)
    q = Wq (m * mean_n(x_n))                   what to look for        (one vector per image)
    s_n = sigmoid(sum_o q_o softmax_n(V (m * x))_on)                   which pixels matter
    y_n = x_n * m * s_n

The paper has biases in all projections, a layer norm of U Wv r + b in place of the bottleneck of U1
and U2, and

    q = softmax_c(Wq (m * mean_n(x_n)) + bq)   a softmax over channels, not over pixels
    s_n = sigmoid(q . (V (m * x_n) + bv))

Source: Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
2021, https://arxiv.org/abs/2107.00782.
Reference: variant "code": github.com/DeLightCMU/PSA, semantic-segmentation/network/PSA.py,
PSA_s (stride 1). Variant "paper": github.com/xmu-xiaoma666/External-Attention-pytorch,
model/attention/PolarizedSelfAttention.py (MIT). Differences: the products are taken in the
order in which Wv x and m * x are never written as maps.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least, one_of
from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.layers.shared.parts import reset
from pixelwise.ops.polarized_gate import pixel_gate, pixel_logits, polarized_gate
from pixelwise.ops.pooling import attention_and_mean_pool
from pixelwise.ops.running.precision import full_precision
from pixelwise.ops.streamed_projection import streamed_projection

Gates = tuple[
    Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b c"] | None, Float[Tensor, "b #n"]
]


class SequentialPolarizedSelfAttention(AttentionLayer):
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
    title: ClassVar[str] = "Polarized self-attention (sequential)"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = (
        "sequential PSA",
        "PSA sequential",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
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
        super().__init__(channels)
        one_of(("code", "paper"), variant=variant)
        paper = variant == "paper"
        at_least(2 if paper else 8, channels=channels)
        self.variant, half = variant, channels // 2
        self.channel_query = nn.Linear(channels, 1, bias=paper)
        self.channel_value = nn.Linear(channels, half, bias=paper)
        self.spatial_query = nn.Linear(channels, half, bias=paper)
        self.spatial_value = nn.Linear(channels, half, bias=paper)
        self.reduce = None if paper else nn.Linear(half, half // 4)
        self.norm = nn.LayerNorm(channels if paper else half // 4)
        self.expand = nn.Linear(half if paper else half // 4, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the reference of the variant does: normal in "code", torch's in "paper"."""
        reset(self)
        if self.variant == "code":
            for part in (
                self.channel_query,
                self.channel_value,
                self.spatial_query,
                self.spatial_value,
            ):
                nn.init.kaiming_normal_(part.weight, mode="fan_in", nonlinearity="relu")

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Gate the channels, then the pixels of what that leaves."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        where = self.channel_query(pixels).softmax(dim=1)  # over the pixels
        context = (where * self.channel_value(pixels)).sum(dim=1)
        gated = pixels * self._expand(context).sigmoid()[:, None]

        query = self.spatial_query(gated).mean(dim=1)
        value = self.spatial_value(gated)
        if self.variant == "paper":
            query = query.softmax(dim=1)  # over the channels of the query
        else:
            value = value.softmax(dim=1)  # over the pixels
        spatial = torch.einsum("bd,bnd->bn", query, value).sigmoid()
        return (gated * spatial[:, :, None]).mT.reshape(x.shape)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass that gates by channel and by pixel; values are not written as maps."""
        with full_precision(x):
            gates = self._gates(x.flatten(2))
            return polarized_gate(*gates, product=True, softmax=False).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            flat, channel, direction, offset = self._gates(x.flatten(2))
            spatial = pixel_gate(pixel_logits(flat, direction, offset), softmax=False)
            return Maps(spatial=spatial.view(x.shape[0], 1, *x.shape[2:]), channel=channel)

    def _expand(self, context: Float[Tensor, "b half"]) -> Float[Tensor, "b c"]:
        if self.reduce is None:
            return self.norm(self.expand(context))
        return self.expand(self.norm(self.reduce(context)).relu())

    def _gates(self, flat: Float[Tensor, "b c n"]) -> Gates:
        """The map, m, and s as the logits `direction . x + offset`."""
        query = self.channel_query
        flat, context, mean = attention_and_mean_pool(flat, query.weight[0], query.bias)
        own, kind = query.weight.dtype, mean.dtype
        channel = self._expand(self.channel_value(context.to(own))).sigmoid().to(kind)
        wanted = self.spatial_query((channel * mean).to(own)).to(kind)
        value = self.spatial_value.weight.to(kind)
        if self.variant == "code":
            return flat, channel, None, streamed_projection(flat, value * channel[:, None], wanted)
        wanted = wanted.softmax(dim=-1)
        offset = wanted @ self.spatial_value.bias.to(kind)
        return flat, channel, channel * (wanted @ value), offset[:, None]
