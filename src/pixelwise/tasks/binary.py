"""Two classes by one logit: positive for class 1; class 0 is everything else."""

import math
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.data.source import Source
from pixelwise.errors import InputError, unknown
from pixelwise.tasks.class_masks import ClassMasks


class Binary(ClassMasks):
    """Class 1 or not, per pixel.

    Options, in `task_options`:
        threshold: The probability from which on a pixel is of class 1; by default 0.5.
    """

    key = "binary"
    summary = "two classes, one logit"

    def check(self) -> None:
        """Raise for more than one logit, or a threshold that is none."""
        _check_options(self.described.task_options)
        if self.described.num_classes != 1:
            raise InputError(
                "task 'binary' has num_classes=1 (one logit, positive for class 1), got"
                f" {self.described.num_classes}; for several classes take task 'multiclass'"
            )

    @classmethod
    def check_source(cls, source: Source) -> None:
        """Raise for other than two classes."""
        super().check_source(source)
        if len(source.classes) != 2:
            raise InputError(
                f"task='binary': needs two classes, {source.name} has {len(source.classes)}; take"
                " 'multiclass'"
            )

    @classmethod
    def options(cls, source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The threshold, where the user states one."""
        _check_options(settings)
        return dict(settings)

    @classmethod
    def num_classes(cls, source: Source) -> int:
        """One logit for both."""
        return 1

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Int[Tensor, "n h w"]:
        """1 where the logit is positive, or at least that of the threshold."""
        threshold = self.described.task_options.get("threshold")
        if threshold is None:
            return (logits[:, 0] > 0).long()
        return (logits[:, 0] >= math.log(threshold / (1 - threshold))).long()


def _check_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name != "threshold":
            raise unknown("option", name, ("threshold",), "of task 'binary'")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise InputError(
                f"threshold={value!r}: must be a probability between 0 and 1; 0.5 is usual"
            )
