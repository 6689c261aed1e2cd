"""The pictures of an evaluation that were predicted worst."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.source import Split
from pixelwise.tasks.base import Scorer, Task

NUMBER = 6
FILES = tuple(f"worst_{i}.png" for i in range(1, NUMBER + 1))
LONGEST = 1024
"""Of larger pictures every second pixel is drawn, or every third, and so on."""


class Worst:
    """Keeps the answers that a scorer likes least, of scorers that judge picture by picture.

    Args:
        scorer: As `evaluate` has it; None: the usual one, which judges all pictures together.
    """

    def __init__(self, scorer: Scorer | None) -> None:
        self.scorer = scorer
        self._kept: list[tuple[float, int, int, Tensor, Tensor]] = []

    def see(self, index: int, answer: Tensor, target: Tensor) -> None:
        """After each picture."""
        score = None if self.scorer is None else self.scorer.last()
        if score is None:
            return
        step = max(1, -(-max(target.shape[-2:]) // LONGEST))
        said, true = (_small(one[..., ::step, ::step]) for one in (answer, target))
        self._kept.append((score, index, step, said, true))
        self._kept.sort(key=lambda kept: kept[:2])
        del self._kept[NUMBER:]

    def indices(self) -> list[int]:
        """Numbers of the pictures, the worst first."""
        return [kept[1] for kept in self._kept]

    def files(self, split: Split, task: Task) -> Mapping[str, bytes]:
        """File name -> PNG of the picture, the truth and the answer; the worst comes first."""
        found = {}
        for file, (_, index, step, answer, target) in zip(FILES, self._kept, strict=False):
            image = pictures.displayable(split[index].image)
            shown = task.picture(image[::step, ::step], _usual(target), _usual(answer))
            found[file] = pictures.png(shown)
        return found


def _small(one: Tensor) -> Tensor:
    """A copy that does not hold the whole picture; whole numbers in half the memory."""
    return one.clone() if one.is_floating_point() else one.to(torch.int32)


def _usual(one: Tensor) -> Tensor:
    return one if one.is_floating_point() else one.long()
