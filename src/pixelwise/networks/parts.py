"""Parts that several decoders share, and other codes' names for them."""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.layers.parts import conv_norm
from pixelwise.layers.reference import ReferenceWeights


def classifier(channels: int, outputs: int, *, dropout: float = 0.1) -> nn.Sequential:
    """Dropout of whole channels (part 0) and a 1x1 convolution to the outputs (part 1)."""
    return nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(channels, outputs, kernel_size=1))


def conv_modules(names: Mapping[str, str]) -> dict[str, str]:
    """Names of convolutions with a norm in mmsegmentation -> parts 0 and 1 of a `conv_norm`.

    `{"bottleneck": "reduce"}` gives `{"bottleneck.conv": "reduce.0", "bottleneck.bn": "reduce.1"}`.
    """
    parts = {"conv": "0", "bn": "1"}
    return {
        f"{theirs}.{part}": f"{ours}.{number}"
        for theirs, ours in names.items()
        for part, number in parts.items()
    }


class StageHead(ReferenceWeights):
    """3x3 convolution, dropout 0.1, 1x1 convolution to the outputs: the usual auxiliary head.

    Args:
        channels: Width of the feature map.
        outputs: Logits per pixel.
        width: Channels in between; None is a quarter of `channels`.
        bias: The 3x3 convolution has a bias.

    Shape: (b, channels, h, w) -> (b, outputs, h, w).
    """

    reference_keys: ClassVar[Mapping[str, str]] = {
        "conv5": "layers",  # PyTorch-Encoding
        **conv_modules({"convs.0": "layers"}),  # mmsegmentation
        "conv_seg": "layers.4",
        "": "layers",  # semseg: one plain sequence
        "1.0": "layers.1",  # openseg, CCNet: norm and activation are one part
        "3": "layers.4",
    }

    def __init__(
        self, channels: int, outputs: int, *, width: int | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        hidden = max(channels // 4, 1) if width is None else width
        self.layers = nn.Sequential(
            *conv_norm(channels, hidden, 3, bias=bias),
            nn.Dropout(0.1),
            nn.Conv2d(hidden, outputs, kernel_size=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits at the feature map's size."""
        return self.layers(x)
