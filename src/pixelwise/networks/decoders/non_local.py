"""Non-local network: every pixel adds a mixture of all pixels, between two convolutions.

    u = relu(norm(Wu * x))            x: the backbone's last feature map
    v_i = u_i + norm(Wo sum_j f(u_i, u_j) g(u_j))        the non-local block, see its layer
    y = relu(norm(Wy * v))
    z = relu(norm(Wz * [x, y]))       where `concatenate`; else z = y
    logits = W dropout(z)             and one convolution on x3, as an auxiliary output

Source: Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/nl_head.py (Apache-2.0),
with the auxiliary head and the weight of its configs: the authors published no segmentation
network. Its configs are the defaults here, on ResNets at output stride 8.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pixelwise.layers.non_local import NonLocal
from pixelwise.networks.framed import FramedLayer
from pixelwise.networks.parts import inner_width, share


class NonLocalNet(FramedLayer):
    """A non-local block on the last feature map, in the frame of `FramedLayer`.

    Args: as `FramedLayer` has them, and
        hidden: Channels of the block's query, key and value; None is half of `width`.
        mode: The likeness f: "embedded_gaussian", "gaussian", "dot_product" or "concatenation".
        use_scale: Whether "embedded_gaussian" divides by the root of `hidden`.
    """

    key = "nonlocal"
    title = "Non-local neural network"
    year = 2018
    aliases = ("NLHead", "NLNet", "non-local network")
    summary = "every pixel adds a mixture of all pixels (nonlocal)"
    source = "Wang et al. 2018, https://arxiv.org/abs/1711.07971"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **FramedLayer.reference_keys,
        "nl_block": "layer",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        hidden: int | None = None,
        mode: str = "embedded_gaussian",
        use_scale: bool = True,
        concatenate: bool = True,
        auxiliary: bool = True,
    ) -> None:
        inner = inner_width(channels[-1], width)
        layer = NonLocal(
            inner,
            hidden=share(inner, 2, hidden),
            mode=mode,
            use_scale=use_scale,
            norm=True,
        )
        super().__init__(
            channels, outputs, layer, width=inner, concatenate=concatenate, auxiliary=auxiliary
        )
