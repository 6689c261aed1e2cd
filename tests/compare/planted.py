"""`pixelwise compare` with two layers more: one that does nothing, and one that knows the answer.

Pictures are squares of 8 x 8 pixels with 4 x 4 bright or dark blocks; the class of a square is the
parity of its bright blocks, which a small network does not learn in some steps. A layer that
knows it reads it from the picture, and learns what to do with it.

python planted.py FOLDER WORDS...   makes the pictures in FOLDER, then runs compare with the words
"""

import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from pixelwise.cli.main import main
from pixelwise.layers.base import AttentionLayer

SEEN: list[torch.Tensor] = []
SQUARE, BLOCK, SIZE = 8, 2, 64


def remember(module: nn.Module, given: tuple) -> None:
    """Keep the last picture that a network was asked about."""
    if (
        given
        and isinstance(given[0], torch.Tensor)
        and given[0].ndim == 4
        and given[0].shape[1] == 3
    ):
        SEEN[:] = [given[0].detach()]


def parity(picture: torch.Tensor) -> torch.Tensor:
    """The class of every square of (n, 3, h, w); neither mean nor contrast matters."""
    blocks = F.avg_pool2d(picture.mean(dim=1, keepdim=True), BLOCK)
    each = F.unfold(blocks, SQUARE // BLOCK, stride=SQUARE // BLOCK)
    middle = (each.amax(dim=1, keepdim=True) + each.amin(dim=1, keepdim=True)) / 2
    found = (each > middle).sum(dim=1) % 2
    return found.reshape(len(picture), picture.shape[2] // SQUARE, picture.shape[3] // SQUARE)


class Nothing(AttentionLayer):
    """Gives its input back; its parameters move and change nothing."""

    key = "nothing"
    title = "Nothing at all"
    year = None
    reference_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def plain(self, x):
        """x, to the bit."""
        return x + 0 * self.mix(x)

    def maps(self, x, at=None):
        """None."""
        raise NotImplementedError


class Knowing(AttentionLayer):
    """Adds a learnt value of the right class."""

    key = "knowing"
    title = "The answer itself"
    year = None
    reference_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.say = nn.Conv2d(2, channels, 1, bias=False)

    def plain(self, x):
        """What is known of the last picture, where it is one of the planted ones."""
        picture = SEEN[0] if SEEN else None
        if picture is None or tuple(picture.shape[2:]) != (SIZE, SIZE) or len(picture) != len(x):
            return x + 0 * self.say(x[:, :2])
        known = F.one_hot(parity(picture).long(), 2).permute(0, 3, 1, 2).to(x)
        return x + self.say(F.interpolate(known, x.shape[2:]))

    def maps(self, x, at=None):
        """None."""
        raise NotImplementedError


def draw(folder: Path) -> None:
    """Pictures and masks of both splits."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 48), ("val", 24)):
        for what in ("images", "masks"):
            (folder / split / what).mkdir(parents=True)
        for number in range(count):
            bits = rng.integers(0, 2, (SIZE // BLOCK, SIZE // BLOCK))
            picture = np.kron(40 + 170 * bits, np.ones((BLOCK, BLOCK), int)).astype(np.uint8)
            squares = bits.reshape(SIZE // SQUARE, 4, SIZE // SQUARE, 4).sum(axis=(1, 3)) % 2
            mask = np.kron(squares, np.ones((SQUARE, SQUARE), int)).astype(np.uint8)
            Image.fromarray(np.stack([picture] * 3, -1)).save(
                folder / split / f"images/{number}.png"
            )
            Image.fromarray(mask).save(folder / split / f"masks/{number}.png")
    (folder / "classes.csv").write_text("id,name,r,g,b\n0,even,0,0,0\n1,odd,255,255,255\n")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
    nn.modules.module.register_module_forward_pre_hook(remember)
    sys.exit(main(["compare", "--data", sys.argv[1], *sys.argv[2:]]))
