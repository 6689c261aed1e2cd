"""Two classes by one logit: positive for class 1; class 0 is everything else."""

from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.data.source import Source
from pixelwise.errors import InputError
from pixelwise.tasks.class_masks import ClassMasks


class Binary(ClassMasks):
    """Class 1 or not, per pixel."""

    key = "binary"
    summary = "two classes, one logit"

    def check(self) -> None:
        """Raise for more than one logit."""
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
    def num_classes(cls, source: Source) -> int:
        """One logit for both."""
        return 1

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Int[Tensor, "n h w"]:
        """1 where the logit is positive."""
        return (logits[:, 0] > 0).long()
