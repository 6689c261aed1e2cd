"""The Lovasz extension of 1 - IoU, over the whole batch.

For a class with truth t_i in {0, 1} and errors e_i at the pixels that count, sorted so that
e_1 >= e_2 >= ...,

    J_i = 1 - (T - sum_{j<=i} t_j) / (T + sum_{j<=i} (1 - t_j)),    T = sum t_j
    L = sum_i max(e_i, 0) (J_i - J_{i-1}),                          J_0 = 0

Multiclass: e_i = |t_i - p_i| with the softmax's p ("Lovasz-softmax"), the mean over the classes
that occur. Binary and multilabel: e_i = 1 - z_i (2 t_i - 1) with the logit z ("Lovasz hinge"), the
mean over all labels.

Source: Berman et al., "The Lovasz-Softmax loss: A tractable surrogate for the optimization of the
intersection-over-union measure in neural networks", 2017, https://arxiv.org/abs/1705.08790.
"""

import torch
from torch import Tensor

from pixelwise.losses.batch import Batch, mean_of_present


def lovasz(batch: Batch) -> Tensor:
    """The Lovasz-softmax of several classes, or the hinge of yes and no."""
    batch = batch.gathered()
    if batch.task == "multiclass":
        errors = torch.where(batch.truth, 1 - batch.probabilities, batch.probabilities)
        losses = _extension(errors, batch.truth, batch.known)
        return mean_of_present(losses, batch.truth.any(dim=3).any(dim=2).any(dim=0))
    errors = torch.where(batch.truth, 1 - batch.logits, 1 + batch.logits)
    return _extension(errors, batch.truth, batch.known).mean()


def _extension(errors: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """L of each class."""
    known = known.expand_as(errors)
    found = []
    for error, true, counts in zip(*(x.unbind(dim=1) for x in (errors, truth, known)), strict=True):
        counted = torch.where(counts, error, 0.0).flatten().relu()
        # Ignored pixels come last, so that no step of another one depends on them.
        steps = _steps(error.detach().masked_fill(~counts, -torch.inf).flatten(), true.flatten())
        found.append((counted * steps).sum())
    return torch.stack(found)


@torch.no_grad()
def _steps(errors: Tensor, truth: Tensor) -> Tensor:
    """J_i - J_{i-1} of each pixel, in the pixels' own order."""
    order = errors.argsort(descending=True, stable=True)
    true = truth[order]
    # Whole numbers: float32 loses counts above 2^24.
    missed = true.sum() - true.cumsum(0)
    union = true.sum() + (~true).cumsum(0)
    jaccard = 1 - missed.double() / union.clamp(min=1)
    steps = jaccard.diff(prepend=jaccard.new_zeros(1)).to(errors.dtype)
    return torch.empty_like(steps).scatter_(0, order, steps)
