"""The network around a layer: whatever a pixel knows of others has come through the layer.

    z = relu(norm(E x))        1x1 convolution, so of the pixel alone
    y = layer(z)               or layer(z, G z) with a guide, G a 1x1 convolution
    logits = H relu(norm(y))   1x1 convolution

A layer that shrinks the map has its output enlarged again, each pixel repeated.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.layers.base import FusionLayer
from pixelwise.probe.subjects import Subject
from pixelwise.probe.variants import CHANNELS


class ProbeNetwork(nn.Module):
    """A layer between two 1x1 convolutions.

    Args:
        subject: What stands in the middle.
        channels: Its channels.
        classes: How many answers there are.
        size: Rows and columns of the maps.

    Raises:
        InputError: The layer cannot take such maps.
    """

    def __init__(self, subject: Subject, channels: int, classes: int, size: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(CHANNELS, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.layer: Any = subject.build(channels)
        self.guide: nn.Module | None = None
        if isinstance(self.layer, FusionLayer):
            shape = self.layer.benchmark_guide(subject.options, (1, channels, size, size))
            self.guide = nn.Conv2d(channels, shape[1], 1)
        width = self._width(subject, channels, size)
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, classes, 1))

    def forward(self, maps: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b classes h w"]:
        """What each pixel answers."""
        y = self.attended(self.embed(maps))
        if y.shape[2:] != maps.shape[2:]:
            y = F.interpolate(y, maps.shape[2:], mode="nearest")
        return self.head(y)

    def attended(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o i j"]:
        """The layer's output."""
        if self.guide is None:
            return self.layer(features)
        return self.layer(features, self.guide(features))

    def _width(self, subject: Subject, channels: int, size: int) -> int:
        """Channels of the layer's output, from a first try."""
        try:
            with torch.no_grad():
                self.layer.eval()
                return self.attended(torch.zeros(2, channels, size, size)).shape[1]
        except (InputError, RuntimeError) as error:
            told = str(error) if isinstance(error, InputError) else in_one_line(error, 200)
            raise InputError(
                f"layer={subject.name!r}: cannot be probed on maps of {size}x{size} ({told});"
                " choose another --size, or other options of the layer"
            ) from error
        finally:
            self.layer.train()


def parameters(network: ProbeNetwork) -> int:
    """Parameters of the layer alone."""
    return sum(parameter.numel() for parameter in network.layer.parameters())
