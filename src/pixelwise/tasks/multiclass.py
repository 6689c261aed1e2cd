"""One of several classes per pixel: one logit per class, the largest wins."""

from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.tasks.class_masks import ClassMasks


class Multiclass(ClassMasks):
    """One class per pixel."""

    key = "multiclass"
    summary = "one class per pixel"

    def check(self) -> None:
        """Raise for less than two classes."""
        if self.described.num_classes < 2:
            raise InputError(
                "task 'multiclass' needs num_classes of at least 2, background included, got"
                f" {self.described.num_classes}; for one class take task 'binary'"
            )

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Int[Tensor, "n h w"]:
        """The class with the largest logit."""
        return logits.argmax(dim=1)
