"""The loss that a text names, as a function."""

import functools
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pixelwise.checks import one_of
from pixelwise.errors import InputError
from pixelwise.losses.batch import TASKS, Batch
from pixelwise.losses.terms import read_loss

Loss = Callable[[Float[Tensor, "n k h w"], Int64[Tensor, "n *k h w"]], Float[Tensor, ""]]


def loss_for(
    task: str,
    *,
    loss: str = "cross_entropy",
    class_weights: Tensor | None = None,
    ignore_index: int = 255,
) -> Loss:
    """The loss of a task, as a function of (logits (n, k, h, w), mask).

    The mask is (n, h, w) class numbers, or (n, k, h, w) zeros and ones for multilabel. Computed in
    float32 at least, whatever the logits' type. 0 with gradient 0 where every pixel is ignored.

    Args:
        task: "multiclass" (k logits), "binary" (one logit, class 1 is positive) or "multilabel".
        loss: A name of `LOSSES`, with parameters in brackets, or a sum: "ce+0.5*dice".
        class_weights: One per class, two for binary; for multilabel one per label, or two rows:
            where a label is not, and where it is. None: all count alike.
        ignore_index: Mask value of pixels that do not count.

    Raises:
        InputError: An unknown task, a text that is no loss, weights that are negative, not finite
            or two-dimensional, or weights for a loss that has none.
    """
    one_of(TASKS, task=task)
    terms = read_loss(loss)
    if class_weights is not None:
        _check_weights(task, class_weights)
        if not any(term.kind.weighted for term in terms):
            raise InputError(
                f"loss={loss!r}: weighs all classes alike, so it takes no class weights; leave"
                " them out, or add ce"
            )

    def total(
        logits: Float[Tensor, "n k h w"], mask: Int64[Tensor, "n *k h w"]
    ) -> Float[Tensor, ""]:
        batch = Batch.of(task, logits, mask, ignore_index, class_weights)
        parts = [term.kind.of(batch, **term.parameters) for term in terms]
        weighted = [
            part if term.weight == 1 else term.weight * part
            for term, part in zip(terms, parts, strict=True)
        ]
        return functools.reduce(torch.add, weighted)

    return total


def _check_weights(task: str, weights: Tensor) -> None:
    sides = task == "multilabel" and weights.ndim == 2 and len(weights) == 2
    if not (weights.ndim == 1 or sides) or not (weights.isfinite() & (weights >= 0)).all():
        raise InputError(
            f"class_weights={weights.tolist()}: must be one finite number, 0 or more, per class;"
            " correct them"
        )
    if task == "binary" and len(weights) != 2:
        raise InputError(
            f"class_weights={weights.tolist()}: must be two for task 'binary'; give both"
        )
