"""SimpleBaseline: transposed convolutions enlarge the last feature map, one convolution reads it.

    y = x4                         the backbone's last feature map
    y = relu(norm(D * y))          for each width, D: a transposed convolution of stride 2
    logits = W * y                 W: 1x1 or 3x3; a heatmap per keypoint

A kernel of side 4, 3 or 2 takes 1, 1 or 0 off each border of the result and adds 0, 1 or 0 to its
end, so that each step doubles the map.

Source: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018,
https://arxiv.org/abs/1804.06208.
Reference: github.com/microsoft/human-pose-estimation.pytorch, lib/models/pose_resnet.py (MIT),
commit 49f3f44, and mmpose's TopDownSimpleHead (Apache-2.0), which has the same names and can do
without W (`kernel_size=0`). The kernels of D and W begin as N(0, 0.001), as there. The head of
HRNet's authors is W alone (`widths=()`): that network is `hrnet_pose`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.networks.base import Decoder

BORDERS = {4: (1, 0), 3: (1, 1), 2: (0, 0)}
"""Side of a kernel -> what doubles a map with it: padding and output padding."""
SPREAD = 0.001
"""Standard deviation of the kernels before training."""


class SimpleBaseline(Decoder):
    """Transposed convolutions on the last feature map, and a convolution to the outputs.

    Args:
        channels: Widths of the feature maps, finest first; the last is used.
        outputs: Logits per pixel.
        widths: Channels of the transposed convolutions; with none, the map keeps its size.
        kernels: Sides of their kernels, 2, 3 or 4; one number stands for all.
        bias: They have biases.
        kernel_size: Side of the convolution to the outputs, 1 or 3; with 0 there is none, and the
            last width must be that of the outputs.

    Shape: last feature map (b, c, h, w) -> (b, outputs, h * 2^n, w * 2^n) for n widths.
    Raises: InputError for options out of range.
    """

    key = "simple_baseline"
    title = "SimpleBaseline"
    year = 2018
    aliases = ("PoseResNet", "TopDownSimpleHead", "Simple Baselines")
    summary = "three transposed convolutions on the last feature map; for keypoints"
    source = "Xiao et al. 2018, https://arxiv.org/abs/1804.06208"
    output_stride = 32
    reference_keys: ClassVar[Mapping[str, str]] = {
        "deconv_layers": "enlarge",
        "final_layer": "classify",
    }

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        *,
        widths: Sequence[int] = (256, 256, 256),
        kernels: int | Sequence[int] = 4,
        bias: bool = False,
        kernel_size: int = 1,
    ) -> None:
        super().__init__()
        sides = [kernels] * len(widths) if isinstance(kernels, int) else list(kernels)
        _check(widths, sides, kernel_size)
        into = [channels[-1], *widths]
        if kernel_size == 0 and into[-1] != outputs:
            raise InputError(
                f"kernel_size=0: the last width, {into[-1]}, must be that of the outputs,"
                f" {outputs}; give kernel_size=1"
            )
        steps: list[nn.Module] = []
        for before, width, side in zip(into, widths, sides, strict=False):
            padding, more = BORDERS[side]
            steps += [
                nn.ConvTranspose2d(before, width, side, 2, padding, more, bias=bias),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.enlarge = nn.Sequential(*steps)
        self.classify: nn.Module = nn.Identity()
        if kernel_size:
            self.classify = nn.Conv2d(into[-1], outputs, kernel_size, padding=kernel_size // 2)
        for part in self.modules():
            if isinstance(part, nn.ConvTranspose2d | nn.Conv2d):
                nn.init.normal_(part.weight, std=SPREAD)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, features: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b k h w"]:
        """Logits at the size of the enlarged map."""
        return self.classify(self.enlarge(features[-1]))


def _check(widths: Sequence[int], sides: Sequence[int], kernel_size: int) -> None:
    if widths:
        at_least(1, widths=min(widths))
    if len(sides) != len(widths):
        raise InputError(
            f"kernels={tuple(sides)}: must be one per width, {len(widths)} of them; give as many,"
            " or one number"
        )
    for side in sides:
        if side not in BORDERS:
            raise InputError(f"kernels={side}: must be 2, 3 or 4; use one of them")
    if kernel_size not in (0, 1, 3):
        raise InputError(f"kernel_size={kernel_size}: must be 0, 1 or 3; use one of them")
