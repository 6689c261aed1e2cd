"""One answer from several views of a picture: at several scales, and mirrored.

    logits = mean over scales s and mirrors m of  back_m(resized(network(m(resized(image, s)))))

What the mean is of is the task's: with classes and labels the probabilities, with values the
values, with points the heat maps. `Task.merged` gives logits that say so, which are blended and
decoded as those of one view. The scale 1 is the picture as it is. Others are resized bilinearly,
smaller ones with a filter, as crops are in training; the logits are resized back likewise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from pixelwise.checks import in_range
from pixelwise.errors import InputError
from pixelwise.tasks.base import Predictor, Task

SMALLEST, LARGEST, MOST = 0.1, 8.0, 16


@dataclass(frozen=True)
class Views:
    """Which views of a picture are averaged.

    Args:
        scales: Factors on its height and width.
        flip: Each mirrored from left to right too.

    Raises:
        InputError: No scale, one twice, or one that is too small or too large.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.scales) <= MOST:
            raise InputError(f"scales={self.scales}: must be 1 to {MOST} numbers; e.g. 0.75,1,1.25")
        for scale in self.scales:
            in_range(SMALLEST, LARGEST, scales=scale)
        if len({*self.scales}) < len(self.scales):
            raise InputError(f"scales={self.scales}: has a number twice; leave it out once")

    @property
    def single(self) -> bool:
        """Whether there is nothing to average."""
        return self.scales == (1.0,) and not self.flip

    def suited(self, task: Task) -> "Views":
        """These views for a task; of `TTA` the mirrored one alone where the scale matters.

        Raises:
            InputError: The task's answer depends on the scale of the picture.
        """
        if task.own_scale and self == TTA:
            return Views(flip=True)
        if self.scales != (1.0,) and task.own_scale:
            told = ",".join(f"{scale:g}" for scale in self.scales)
            raise InputError(
                f"scales={told}: does not suit task {task.key!r}, since {task.own_scale}; leave it"
                " out"
            )
        return self

    def averaged(self, run: Predictor, task: Task) -> Predictor:
        """What gives the mean logits of the views.

        Args:
            run: The network, or a function around one.
            task: Says how a mirrored answer is brought back, and what is averaged.

        Raises:
            InputError: The task's answer depends on the scale.
        """
        views = self.suited(task)
        if views.single:
            return run

        def mean(image: Shaped[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
            return task.merged([*views._each(run, task, image)])

        return mean

    def _each(self, run: Predictor, task: Task, image: Tensor) -> Iterator[Tensor]:
        height, width = image.shape[-2:]
        size = [-(-side // task.stride) for side in (height, width)]
        for scale in self.scales:
            scaled = tuple(max(1, math.floor(scale * side + 0.5)) for side in (height, width))
            seen = _resized(image, scaled)
            yield _resized(run(seen), size)
            if self.flip:
                yield _resized(task.unmirrored(run(seen.flip(-1))), size)


WHOLE = Views()
"""The picture as it is."""
TTA = Views((0.75, 1.0, 1.25), flip=True)
"""The usual views; the mirrored one alone where a task's answer depends on the scale."""


def _resized(maps: Tensor, size: tuple[int, ...] | list[int]) -> Tensor:
    if [*maps.shape[-2:]] == [*size]:
        return maps
    shrinks = any(new < old for new, old in zip(size, maps.shape[-2:], strict=True))
    return F.interpolate(
        maps.float(), size=[*size], mode="bilinear", align_corners=False, antialias=shrinks
    )


def read_scales(text: str) -> tuple[float, ...]:
    """`"0.75,1,1.25"` -> (0.75, 1.0, 1.25).

    Raises:
        InputError: It is no list of numbers.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"scales={text!r}: must be numbers with commas between them; e.g. 0.75,1,1.25"
        ) from None
