"""Disentangled non-local network: what a pixel looks for, and what every pixel looks at, apart.

    u = relu(norm(Wu * x))            x: the backbone's last feature map
    v_i = u_i + norm(Wo sum_j (A_ij + m_j) g(u_j))       the disentangled block, see its layer
    y = relu(norm(Wy * v))
    z = relu(norm(Wz * [x, y]))       where `concatenate`; else z = y
    logits = W dropout(z)             and one convolution on x3, as an auxiliary output

Source: Yin et al., "Disentangled Non-Local Neural Networks", ECCV 2020,
https://arxiv.org/abs/2006.06668.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/dnl_head.py (Apache-2.0),
with the auxiliary head and the weight of its configs, which are the defaults here, on ResNets at
output stride 8. Difference: its mode "gaussian" is left out, as in the layer.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pixelwise.layers.disentangled_non_local import DisentangledNonLocal
from pixelwise.networks.framed import FramedLayer
from pixelwise.networks.parts import inner_width, share


class DNLNet(FramedLayer):
    """A disentangled non-local block on the last feature map, in the frame of `FramedLayer`.

    Args: as `FramedLayer` has them, and
        hidden: Channels of the block's query, key and value; None is half of `width`.
        mode: The likeness: "embedded_gaussian", "dot_product" or "concatenation".
        use_scale: Whether "embedded_gaussian" divides by the root of `hidden`.
        temperature: What "embedded_gaussian" divides by besides.
    """

    key = "dnlnet"
    title = "Disentangled non-local network"
    year = 2020
    aliases = ("DNLHead", "DNL")
    summary = "every pixel adds a mixture of all pixels, likeness and salience apart (dnl)"
    source = "Yin et al. 2020, https://arxiv.org/abs/2006.06668"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **FramedLayer.reference_keys,
        "dnl_block": "layer",
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
        temperature: float = 0.05,
        concatenate: bool = True,
        auxiliary: bool = True,
    ) -> None:
        inner = inner_width(channels[-1], width)
        layer = DisentangledNonLocal(
            inner,
            hidden=share(inner, 2, hidden),
            mode=mode,
            use_scale=use_scale,
            temperature=temperature,
            norm=True,
        )
        super().__init__(
            channels, outputs, layer, width=inner, concatenate=concatenate, auxiliary=auxiliary
        )
