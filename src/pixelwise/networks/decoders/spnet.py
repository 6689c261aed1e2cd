"""SPNet's head: what is near by bins and what is far by rows and columns, twice.

    y = relu(norm(W1 * x4))                       x4: the backbone's last feature map
    y = M2(M1(y))                                 see `layers/shared/mixed_pooling.py`
    logits = Wc dropout(relu(norm(W3 * y)))       W3: 3x3; and one convolution on x3, auxiliary

Source: Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
https://arxiv.org/abs/2003.13328.
Reference: github.com/houqb/SPNet, models/customize.py (MIT), for M; the head around it is written
from its description, and compared with no code. The authors also gate blocks of the backbone by
strips, all of the last stage and one of each other: `attention="strip_pooling@inner4"`.
"""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.shared.mixed_pooling import MixedPooling
from pixelwise.layers.shared.parts import conv_norm
from pixelwise.networks.base import Decoder
from pixelwise.networks.parts import classifier, share


class SPNet(Decoder):
    """Mixed pooling, twice, on the last feature map.

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        width: Channels of the mixed pooling; None is half of those of the last map. The 3x3
            convolution behind has half of that.
        pool_sizes: Bins per axis of both levels of near means.
        modules: How many mixed poolings follow each other.
        auxiliary: Train a second head on the feature map before the last.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h, w).
    Raises: InputError for options out of range.
    """

    key = "spnet"
    title = "Strip pooling network"
    year = 2020
    aliases = ("SPHead", "mixed pooling", "Strip pooling head")
    summary = "means over bins, rows and columns, mixed twice"
    source = "Hou et al. 2020, https://arxiv.org/abs/2003.13328"
    auxiliary_weights: Mapping[str, float] = {"stage3": 0.4}

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        width: int | None = None,
        pool_sizes: Sequence[int] = (20, 12),
        modules: int = 2,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        inner = max(share(channels[-1], 2, width), 4 if width is None else 1)
        at_least(4, width=inner)
        at_least(1, modules=modules)
        if len(pool_sizes) != 2:
            raise InputError(
                f"pool_sizes={tuple(pool_sizes)}: must be the bins of two levels; e.g. (20, 12)"
            )
        self.reduce = conv_norm(channels[-1], inner)
        self.mixed = nn.Sequential(
            *(MixedPooling(inner, tuple(pool_sizes)) for _ in range(modules))
        )
        self.classify = nn.Sequential(
            conv_norm(inner, inner // 2, 3), *classifier(inner // 2, outputs)
        )
        self.add_auxiliary(channels, outputs, wanted=auxiliary)

    @property
    def align_corners(self) -> bool:
        """As of every decoder; the pooling resizes as the decoder does."""
        return all(part.align_corners for part in self._poolings())

    @align_corners.setter
    def align_corners(self, wanted: bool) -> None:
        for part in self._poolings():
            part.align_corners = wanted

    def _poolings(self) -> list[MixedPooling]:
        return [part for part in self.mixed if isinstance(part, MixedPooling)]

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits from the last feature map."""
        return self.classify(self.mixed(self.reduce(features[-1])))
