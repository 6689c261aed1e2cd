"""Global context network: every pixel is told one summary of the picture.

    u = relu(norm(Wu * x))            x: the backbone's last feature map
    v_i = u_i + T(sum_j p_j u_j)      the global context block, see its layer
    y = relu(norm(Wy * v))
    z = relu(norm(Wz * [x, y]))       where `concatenate`; else z = y
    logits = W dropout(z)             and one convolution on x3, as an auxiliary output

Source: Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", 2019,
https://arxiv.org/abs/1904.11492.
Reference: github.com/open-mmlab/mmsegmentation, mmseg/models/decode_heads/gc_head.py (Apache-2.0),
with the auxiliary head and the weight of its configs, which are the defaults here, on ResNets at
output stride 8: the authors' repository has detectors, with the block inside of the backbone.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pixelwise.layers.global_context import GlobalContext
from pixelwise.networks.framed import FramedLayer
from pixelwise.networks.parts import inner_width, share


class GCNet(FramedLayer):
    """A global context block on the last feature map, in the frame of `FramedLayer`.

    Args: as `FramedLayer` has them, and
        hidden: Channels inside of the transform T; None is a quarter of `width`.
        pooling: "att" weighs the pixels by attention, "avg" takes their mean.
        fusions: "add" adds the context, "mul" gates the channels by it; or both.
    """

    key = "gcnet"
    title = "Global context network"
    year = 2019
    aliases = ("GCHead",)
    summary = "one attention-pooled summary for all pixels (gc)"
    source = "Cao et al. 2019, https://arxiv.org/abs/1904.11492"
    reference_keys: ClassVar[Mapping[str, str]] = {
        **FramedLayer.reference_keys,
        "gc_block": "layer",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        hidden: int | None = None,
        pooling: str = "att",
        fusions: Sequence[str] = ("add",),
        concatenate: bool = True,
        auxiliary: bool = True,
    ) -> None:
        inner = inner_width(channels[-1], width)
        layer = GlobalContext(
            inner,
            hidden=share(inner, 4, hidden),
            pooling=pooling,
            fusions=tuple(fusions),
        )
        super().__init__(
            channels, outputs, layer, width=inner, concatenate=concatenate, auxiliary=auxiliary
        )
