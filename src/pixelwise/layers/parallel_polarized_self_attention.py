"""Parallel polarized self-attention: channel gates and pixel gates of the same map, added.

For pixels x_n in R^c of one image, with N of them,

    p = softmax_n(w . x_n)                     where to look           (one weight per pixel)
    m = sigmoid(U Wv sum_n p_n x_n)            which channels matter   (one gate per channel)
    q = Wq mean_n(x_n)                         what to look for        (one vector per image)
    s_n = sigmoid(softmax_n(q . V x_n))        which pixels matter     (one gate per pixel)
    y_n = x_n * m + x_n * s_n

The paper has q = softmax_c(Wq mean(x) + bq), s_n = sigmoid(q . (V x_n + bv)), a layer norm of
U . + b in place of U, and biases in all projections.

Source: Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
2021, https://arxiv.org/abs/2107.00782.
Reference: variant "code": github.com/DeLightCMU/PSA, semantic-segmentation/network/PSA.py,
PSA_p (stride 1). Variant "paper": github.com/xmu-xiaoma666/External-Attention-pytorch,
model/attention/PolarizedSelfAttention.py (MIT). Differences: the products are taken in the
order in which Wv x and V x are never written as maps.
"""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.layers.polarized_self_attention import PolarizedSelfAttention


class ParallelPolarizedSelfAttention(PolarizedSelfAttention):
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
