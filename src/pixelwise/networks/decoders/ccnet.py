"""Criss-cross network: every pixel gathers from its row and its column, twice.

    u = act(norm(Wu * x))             x: the backbone's last feature map
    v = cca(cca(u))                   criss-cross attention with the same weights, see its layer
    y = act(norm(Wy * v))
    z = act(norm(Wz * [x, y]))        where `concatenate`; else z = y
    logits = W dropout(z)             and one convolution on x3, as an auxiliary output

Source: Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", ICCV 2019,
https://arxiv.org/abs/1811.11721.
Reference: github.com/speedinghzl/CCNet, networks/ccnet.py (MIT), commit 1fae6c6, RCCAModule, `dsn`
and the loss of CriterionDSN. Its norms are InPlaceABN: batch norms with a leaky ReLU, as here; its
ResNet-101 is at output stride 8. Difference: the auxiliary head drops single values, not channels.
mmsegmentation's CCHead (Apache-2.0) is `activation="relu"`, and its auxiliary head has a quarter of
the channels and no bias; it resizes with `align_corners=False`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from pixelwise.layers.criss_cross_attention import CrissCrossAttention
from pixelwise.layers.shared.pointwise import one_layer_keys, with_batch_norms
from pixelwise.networks.framed import FramedLayer
from pixelwise.networks.parts import inner_width, share


class CCNet(FramedLayer):
    """Recurrent criss-cross attention on the last feature map, in the frame of `FramedLayer`.

    Args: as `FramedLayer` has them, and
        hidden: Channels of query and key; None is an eighth of `width`.
        recurrence: How many times the attention runs.
        activation: "leaky_relu" as the authors have it, or "relu".
        auxiliary_width: Channels of the auxiliary head; None is half of its feature map's.
    """

    key = "ccnet"
    title = "Criss-cross network"
    year = 2019
    aliases = ("CCHead", "CrissCrossNet")
    summary = "every pixel gathers from its row and column, twice (crisscross)"
    source = "Huang et al. 2019, https://arxiv.org/abs/1811.11721"
    align_corners = True
    reference_keys: ClassVar[Mapping[str, str]] = {
        # The authors' names.
        **one_layer_keys("conva", "before"),
        **one_layer_keys("convb", "after"),
        **one_layer_keys("bottleneck", "joined"),
        "bottleneck.3": "classify.1",
        # mmsegmentation's names, with which they share one.
        **FramedLayer.reference_keys,
        "cca": "layer",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        hidden: int | None = None,
        recurrence: int = 2,
        concatenate: bool = True,
        joined: int | None = None,
        activation: str = "leaky_relu",
        auxiliary: bool = True,
        auxiliary_width: int | None = None,
        auxiliary_bias: bool = True,
    ) -> None:
        inner = inner_width(channels[-1], width)
        layer = CrissCrossAttention(inner, hidden=share(inner, 8, hidden), recurrence=recurrence)
        super().__init__(
            channels,
            outputs,
            layer,
            width=inner,
            concatenate=concatenate,
            joined=joined,
            activation=activation,
            auxiliary=auxiliary,
            auxiliary_width=share(channels[-2:][0], 2, auxiliary_width),
            auxiliary_bias=auxiliary_bias,
        )
        self.activation = activation

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with batch norms in place of InPlaceABN."""
        return with_batch_norms(state_dict, self.activation)
