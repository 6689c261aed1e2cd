"""Channel attention of DANet: every channel gathers from the channels that are unlike it.

For channels x_c in R^N of one image,

    E_cd = x_c . x_d                              how alike two channels are
    A_cd = softmax_d(max_d E_cd - E_cd)           where channel c looks   (= softmax(-E))
    y_c = x_c + gamma sum_d A_cd x_d              what it sees, added

Source: Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019,
https://arxiv.org/abs/1809.02983.
Reference: github.com/junfu1115/DANet, encoding/nn/da_att.py (MIT), CAM_Module. Differences: E is
taken in float32 for half types, where a sum over pixels overflows; backward needs one matrix
product less.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.base import AttentionLayer, Maps
from pixelwise.ops.channel_attention import channel_attention, channel_weights
from pixelwise.ops.running.precision import full_precision


class ChannelAttention(AttentionLayer):
    """Add to every channel a mixture of all channels, weighed by how unlike they are.

    Args:
        channels: Channels c of the input and of the output.

    Shape:
        (b, c, h, w) -> (b, c, h, w), for any h and w.

    Cost:
        2 c^2 multiply-adds per pixel; memory linear in h * w, and c^2.

    Raises:
        InputError: `channels` is below 1.

    The identity at initialisation, since gamma starts at zero. No parameter but gamma.
    """

    key: ClassVar[str] = "cam"
    title: ClassVar[str] = "Channel attention module"
    year: ClassVar[int] = 2019
    aliases: ClassVar[tuple[str, ...]] = (
        "CAM_Module",
        "dual channel attention",
    )
    cost_exponent: float = 1.0
    reference_keys: ClassVar[Mapping[str, str]] = {"gamma": "gain", "gamma.scale": "gain"}

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gain = nn.Parameter(torch.zeros(1))

    def reset_parameters(self) -> None:
        """Initialise as the authors do."""
        nn.init.zeros_(self.gain)

    def plain(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what every channel sees, times gamma."""
        flat = x.flatten(2)  # (b, c, n)
        alike = torch.einsum("bcn,bdn->bcd", flat, flat)
        weights = (alike.amax(dim=2, keepdim=True) - alike).softmax(dim=2)  # where channel c looks
        seen = torch.einsum("bcd,bdn->bcn", weights, flat)
        return x + self.gain * seen.reshape(x.shape)

    def lean(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """A backward of its own, with one matrix product less, and E in float32."""
        with full_precision(x):
            return channel_attention(x.flatten(2), self.gain).view(x.shape)

    def maps(self, x: Float[Tensor, "b c h w"], at: tuple[int, int] | None = None) -> Maps:
        """Weights with which every channel (row) sees the channels, the same for every `at`."""
        with full_precision(x):
            return Maps(channel=channel_weights(x.flatten(2)))
