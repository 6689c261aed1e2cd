"""U-Net's own encoder: two convolutions at each resolution, the first at that of the picture.

    x_1 = C C image,   x_i = C C maxpool x_{i-1}      widths 64, 128, 256, 512, 1024

with C a 3x3 convolution with bias, batch norm and ReLU.

Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015,
https://arxiv.org/abs/1505.04597.
Reference: none. Differences from the paper: convolutions keep the size and have norms, as in the
networks of two dimensions known as U_Net and AttU_Net, whose keys are Conv1 to Conv5; pooling
rounds sizes up, so that any size will do.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from timm.models import FeatureInfo
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.errors import InputError
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.networks.parts import double_convolution, double_convolutions

WIDTHS = (64, 128, 256, 512, 1024)


class UNetEncoder(ReferenceWeights):
    """U-Net's way down as a backbone that gives its feature maps, as timm's do.

    Args:
        in_chans: Input bands.
        widths: Channels at each resolution.

    Shape: (b, in_chans, h, w) -> list of (b, widths[i], ceil(h / 2**i), ceil(w / 2**i)).
    Raises: InputError for no widths, or one below 1.
    """

    reference_keys: ClassVar[Mapping[str, str]] = double_convolutions(
        {f"Conv{i + 1}": f"stages.{i}" for i in range(8)}
    )

    def __init__(self, in_chans: int = 3, *, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        if not widths:
            raise InputError("widths=(): must not be empty; give the channels at each resolution")
        at_least(1, widths=min(widths))
        self.stages = nn.ModuleList(
            double_convolution(i, o, bias=True) for i, o in pairwise((in_chans, *widths))
        )
        self.feature_info = FeatureInfo(
            [
                {"num_chs": width, "reduction": 2**i, "module": f"stages.{i}"}
                for i, width in enumerate(widths)
            ],
            out_indices=tuple(range(len(widths))),
        )

    def forward(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The feature maps, finest first."""
        features: list[Tensor] = []
        for stage in self.stages:
            x = F.max_pool2d(features[-1], 2, ceil_mode=True) if features else image
            features.append(stage(x))
        return features
