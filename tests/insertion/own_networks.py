"""Networks as people write them by hand: other layouts, tuples, parts that are run twice."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


def sequential() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=4, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.2),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(24, 3, 1),
    )


class ChannelsLast(nn.Module):
    """A linear layer over the channels of (b, h, w, c), and what it gets added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(self.norm(x))


class Weighed(NamedTuple):
    features: Tensor
    weights: Tensor


class Weighing(nn.Module):
    """Features, and beside them the weights they were multiplied by."""

    def __init__(self, channels: int, *, named: bool) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        self.named = named

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.score(x).sigmoid()
        return Weighed(x * weights, weights) if self.named else (x * weights, weights)


class Own(nn.Module):
    """A network as people write them: other layouts, tuples, and a block that is run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 4, stride=4)
        self.last = ChannelsLast(24)
        self.pair = Weighing(24, named=False)
        self.named = Weighing(24, named=True)
        self.twice = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1), nn.Dropout(0.1), nn.ReLU())
        self.head = nn.Conv2d(24, 3, 1)

    def forward(self, picture: Tensor) -> dict[str, Tensor | list[Tensor]]:
        x = self.stem(picture)
        x = self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x, first = self.pair(x)
        x, second = self.named(x)
        x = self.twice(self.twice(x))
        return {"logits": self.head(x), "weights": [first, second]}


class Norms(nn.Module):
    """A convolution whose weights are computed anew at each call, a norm, and both once more."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = parametrizations.weight_norm(nn.Conv2d(width, width, 3, padding=1))
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(x)).relu()


class Recomputed(nn.Module):
    """Blocks that are run again in the backward pass, and a list for an output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.ModuleList(Norms(16) for _ in range(2))
        self.heads = nn.ModuleDict({"fine": nn.Conv2d(16, 3, 1), "coarse": nn.Conv2d(16, 2, 1)})

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.stem(picture)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return [head(x) for head in self.heads.values()]


class Siamese(nn.Module):
    """One encoder for two halves of the picture's bands, under two names, and a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=4, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
        )
        self.other = self.encoder
        self.head = nn.Conv2d(32, 3, 1)

    def forward(self, picture: Tensor) -> Tensor:
        joined = torch.cat([self.encoder(picture), self.other(picture.flip(-1))], dim=1)
        return self.head(joined.relu())


class Compact(nn.Module):
    """A wrapper that keeps the network proper in a list and calls its parts one by one."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 24)
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {
                    "conv": nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False),
                    "bn": nn.BatchNorm2d(b),
                    "act": nn.ReLU(inplace=True),
                }
            )
            for a, b in pairwise(widths)
        )
        self.head = nn.Conv2d(24, 3, 1)

    def forward(self, picture: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        maps = {}
        x = picture
        for number, stage in enumerate(self.stages):
            x = stage["act"](stage["bn"](stage["conv"](x)))
            maps[f"stage{number}"] = x
        return self.head(x), maps
