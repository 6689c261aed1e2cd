"""A task is a head: how many logits a pixel has, and what they say."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.errors import InputError, unknown


@dataclass(frozen=True)
class Task:
    """What the logits mean.

    `multiclass`: one logit per class, the largest wins. `binary`: a single logit, positive for
    class 1; class 0 is everything else.
    """

    name: str

    def outputs(self, num_classes: int) -> int:
        """Logits per pixel; raises where the number of classes does not fit the task."""
        if self.name == "binary" and num_classes != 1:
            raise InputError(
                f"task 'binary' has num_classes=1 (one logit, positive for class 1), got"
                f" {num_classes}; for several classes take task 'multiclass'"
            )
        if self.name == "multiclass" and num_classes < 2:
            raise InputError(
                f"task 'multiclass' needs num_classes of at least 2, background included, got"
                f" {num_classes}; for one class take task 'binary'"
            )
        return num_classes

    def classes(self, logits: Float[Tensor, "n k h w"]) -> Int[Tensor, "n h w"]:
        """The class of every pixel."""
        return (logits[:, 0] > 0).long() if self.name == "binary" else logits.argmax(dim=1)

    def probabilities(self, logits: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """Probability of each class (binary: of class 1), in float32."""
        wide = logits.float()
        return wide.sigmoid() if self.name == "binary" else wide.softmax(dim=1)


TASKS = {name: Task(name) for name in ("multiclass", "binary")}


def task_named(name: str) -> Task:
    """The task of that name."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]
