"""Sequential polarized self-attention: channel gates, then pixel gates of what they leave.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    m = sigmoid(U2 relu(norm(U1 Wv r)) + b2)   which channels matter,  r = sum_n p_n x_n
    q = Wq (m * mean_n(x_n))                   what to look for        (one vector per image)
    s_n = sigmoid(sum_o q_o softmax_n(V (m * x))_on)                   which pixels matter
    y_n = x_n * m * s_n

The paper has q = softmax_c(Wq (m * mean(x)) + bq), s_n = sigmoid(q . (V (m * x_n) + bv)), a layer
norm of U . + b in place of the bottleneck U1, U2, and biases in all projections.

Source: Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
2021, https://arxiv.org/abs/2107.00782.
Reference: variant "code": github.com/DeLightCMU/PSA, semantic-segmentation/network/PSA.py,
PSA_s (stride 1). Variant "paper": github.com/xmu-xiaoma666/External-Attention-pytorch,
model/attention/PolarizedSelfAttention.py (MIT). Differences: the products are taken in the
order in which Wv x and m * x are never written as maps.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.polarized_self_attention import PolarizedSelfAttention


class SequentialPolarizedSelfAttention(PolarizedSelfAttention):
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
