"""Parallel polarized self-attention: channel gates and pixel gates of the same map, added.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    m = sigmoid(U Wv sum_n p_n x_n)            which channels matter   (one gate per channel)
    q = Wq mean_n(x_n)                         what to look for        (one vector per image)
    s_n = sigmoid(softmax_n(q . V x_n))        which pixels matter     (one gate per pixel)
    y_n = x_n * m + x_n * s_n

The paper has biases in all projections, a layer norm of U Wv r + b in place of U Wv r, where r is
the sum over n of p_n x_n, and

    q = softmax_c(Wq mean_n(x_n) + bq)         a softmax over channels, not over pixels
    s_n = sigmoid(q . (V x_n + bv))

Source: Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
2021, https://arxiv.org/abs/2107.00782.
Reference: variant "code": github.com/DeLightCMU/PSA, semantic-segmentation/network/PSA.py,
PSA_p (stride 1). Variant "paper": github.com/xmu-xiaoma666/External-Attention-pytorch,
model/attention/PolarizedSelfAttention.py (MIT). Differences: the products are taken in the
order in which Wv x and V x are never written as maps.
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

Gates = tuple[
    Float[Tensor, "b c n"], Float[Tensor, "b c"], Float[Tensor, "b c"], Float[Tensor, "b 1"] | None
]


class ParallelPolarizedSelfAttention(AttentionLayer):
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
    title: ClassVar[str] = "Polarized self-attention (parallel)"
    year: ClassVar[int] = 2021
    aliases: ClassVar[tuple[str, ...]] = (
        "parallel PSA",
        "PSA parallel",
    )
    cost_exponent: float = 1.0
    worth_compiling: ClassVar[tuple[str, ...]] = ("forward", "train")
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
        super().__init__(channels)
        one_of(("code", "paper"), variant=variant)
        at_least(2, channels=channels)
        paper = variant == "paper"
        self.variant, half = variant, channels // 2
        self.channel_query = nn.Linear(channels, 1, bias=paper)
        self.channel_value = nn.Linear(channels, half, bias=paper)
        self.spatial_query = nn.Linear(channels, half, bias=paper)
        self.spatial_value = nn.Linear(channels, half, bias=paper)
        self.expand = nn.Linear(half, channels, bias=paper)
        self.norm = nn.LayerNorm(channels) if paper else nn.Identity()
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
        """Gate the channels, gate the pixels, and add the two."""
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (b, n, c)
        where = self.channel_query(pixels).softmax(dim=1)  # over the pixels
        context = (where * self.channel_value(pixels)).sum(dim=1)
        channel = self.norm(self.expand(context)).sigmoid()

        query = self.spatial_query(pixels).mean(dim=1)
        if self.variant == "paper":
            query = query.softmax(dim=1)  # over the channels of the query
        likeness = torch.einsum("bd,bnd->bn", query, self.spatial_value(pixels))
        if self.variant == "code":
            likeness = likeness.softmax(dim=1)  # over the pixels
        spatial = likeness.sigmoid()
        return (pixels * channel[:, None] + pixels * spatial[:, :, None]).mT.reshape(x.shape)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """One pass that gates by channel and by pixel; values are not written as maps."""
        with full_precision(x):
            gates = self._gates(x.flatten(2))
            y = polarized_gate(*gates, product=False, softmax=self.variant == "code")
            return y.view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Gates of the pixels, the same for every `at`, and gates of the channels."""
        with full_precision(x):
            flat, channel, direction, offset = self._gates(x.flatten(2))
            logits = pixel_logits(flat, direction, offset)
            spatial = pixel_gate(logits, softmax=self.variant == "code")
            return Maps(spatial=spatial.view(x.shape[0], 1, *x.shape[2:]), channel=channel)

    def _gates(self, flat: Float[Tensor, "b c n"]) -> Gates:
        """The map, m, and s as the logits `direction . x + offset`."""
        query = self.channel_query
        flat, context, mean = attention_and_mean_pool(flat, query.weight[0], query.bias)
        own, kind = query.weight.dtype, mean.dtype
        channel = self.norm(self.expand(self.channel_value(context.to(own)))).sigmoid().to(kind)
        wanted = self.spatial_query(mean.to(own)).to(kind)
        value = self.spatial_value.weight.to(kind)
        if self.variant == "code":
            return flat, channel, wanted @ value, None
        wanted = wanted.softmax(dim=-1)
        offset = wanted @ self.spatial_value.bias.to(kind)
        return flat, channel, wanted @ value, offset[:, None]
