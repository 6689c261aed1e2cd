"""A batch as every loss takes it: logits in float32 at least, labels, and what counts."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pixelwise.together import gathered, total

TASKS = ("multiclass", "binary", "multilabel")


@dataclass(frozen=True)
class Batch:
    """Logits and truth.

    Args:
        task: "multiclass" (softmax over k logits), "binary" (one logit, positive for class 1) or
            "multilabel" (k logits, each positive where its label holds).
        logits: float32 or float64.
        labels: Class numbers; for multilabel 0 or 1 per label. 0 where it does not count.
        counted: Which of them count.
        weights: One per class; for multilabel one per label, or of two rows: where a label is not,
            and where it is.
    """

    task: str
    logits: Float[Tensor, "n k h w"]
    labels: Int64[Tensor, "n *k h w"]
    counted: Bool[Tensor, "n *k h w"]
    weights: Float[Tensor, "*sides c"] | None = None

    @classmethod
    def of(
        cls, task: str, logits: Tensor, mask: Tensor, ignore_index: int, weights: Tensor | None
    ) -> "Batch":
        """From what a network and a loader give."""
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        counted = mask != ignore_index
        labels = torch.where(counted, mask, 0)
        return cls(task, wide, labels, counted, None if weights is None else weights.to(wide))

    def gathered(self) -> "Batch":
        """The batch of all processes that share it, for losses that are no function of sums."""
        labels, counted = gathered(self.labels), gathered(self.counted)
        return Batch(self.task, gathered(self.logits), labels, counted, self.weights)

    @cached_property
    def errors(self) -> Tensor:
        """Cross-entropy of each label, in the shape of the labels."""
        if self.task == "multiclass":
            return F.cross_entropy(self.logits, self.labels, reduction="none")
        logits = self.logits[:, 0] if self.task == "binary" else self.logits
        truth = self.labels.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")

    @cached_property
    def share(self) -> Tensor:
        """The weight of each label: 0 where it does not count."""
        share = self.counted.to(self.logits.dtype)
        if self.weights is None:
            return share
        if self.task == "multilabel":
            off, on = self.sides
            return share * torch.where(self.labels == 1, on, off)
        return share * self.weights[self.labels]

    @property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Weights of a label (k, 1, 1) where it is not, and where it is."""
        assert self.weights is not None
        off, on = self.weights if self.weights.ndim == 2 else (self.weights, self.weights)
        return off[:, None, None], on[:, None, None]

    @cached_property
    def probabilities(self) -> Float[Tensor, "n k h w"]:
        """Of each class; of class 1 alone for binary."""
        multiclass = self.task == "multiclass"
        return self.logits.softmax(dim=1) if multiclass else self.logits.sigmoid()

    @cached_property
    def truth(self) -> Bool[Tensor, "n k h w"]:
        """Where each class is, as the probabilities are shaped; a byte per element."""
        if self.task == "multilabel":
            return (self.labels == 1) & self.counted
        labels, counted = self.labels[:, None], self.counted[:, None]
        if self.task == "binary":
            return (labels == 1) & counted
        classes = torch.arange(self.logits.shape[1], device=labels.device)
        return (labels == classes[:, None, None]) & counted

    @cached_property
    def known(self) -> Bool[Tensor, "n #k h w"]:
        """What counts, to go with `truth`."""
        return self.counted if self.task == "multilabel" else self.counted[:, None]


def mean(each: Tensor, share: Tensor) -> Float[Tensor, ""]:
    """The weighted mean; 0, with gradient 0, where no weight is left."""
    whole = total(share.sum()).clamp(min=torch.finfo(each.dtype).tiny)
    return total((each * share).sum()) / whole


def mean_of_present(losses: Float[Tensor, "k"], present: Bool[Tensor, "k"]) -> Float[Tensor, ""]:
    """The mean over the classes that occur; 0, with gradient 0, where none does."""
    return torch.where(present, losses, 0.0).sum() / present.sum().clamp(min=1)
