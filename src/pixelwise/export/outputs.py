"""What exported files say, as the logits that the network would have said.

    probabilities p     log p, of labels and of two classes log p - log(1 - p)
    classes             one for the class, none for the others: votes, which can be averaged
    values              the inverse of what the task makes of logits

So windows are blended, views averaged, and answers given as for any network.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.base import Task

SMALLEST = 1e-12
VOTE = 20.0
"""The logit of a class that was decided for."""


def as_logits(found: Tensor, output: str, task: Task, name: str) -> Float[Tensor, "n k h w"]:
    """Logits from a file's output.

    Args:
        found: The output; (n, h, w) where it is one number per pixel.
        output: What it is: logits, probabilities or answer.
        task: Of the network.
        name: Of the file, for messages.

    Raises:
        InputError: It cannot be.
    """
    if output == "answer" and task.key in ("multiclass", "binary"):
        classes = found[:, 0] if found.ndim == 4 and found.shape[1] == 1 else found
        if classes.ndim != 3:
            raise _wrong(found, name, "one class per pixel")
        return _votes(classes.long(), task, name)
    if found.ndim == 3 and task.outputs == 1:
        found = found[:, None]
    if found.ndim != 4 or found.shape[1] != task.outputs:
        raise _wrong(found, name, f"(n, {task.outputs}, rows, columns)")
    wide = found.float()
    if output == "logits":
        return wide
    if output == "probabilities" and task.key == "multiclass":
        return wide.clamp(min=SMALLEST).log()
    if output == "probabilities" or task.key == "multilabel":
        return torch.logit(wide, eps=1e-7)
    return _before(wide, task)


def _votes(classes: Tensor, task: Task, name: str) -> Tensor:
    count = max(2, task.outputs)
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or high >= count:
        raise InputError(
            f"{name}: says class {low if low < 0 else high}, but there are {count}; correct its"
            " names"
        )
    if task.outputs == 1:
        return (classes[:, None].float() * 2 - 1) * VOTE
    return F.one_hot(classes, count).movedim(-1, 1).float() * VOTE


def _before(values: Tensor, task: Task) -> Tensor:
    """Logits of regression: z where the value is s z + m, or s softplus(z + m / s)."""
    from pixelwise.tasks.regression.task import Regression

    assert isinstance(task, Regression)
    mean, std = task.moments(values)
    if not task.positive:
        return (values - mean) / std
    scaled = (values / std).clamp(min=SMALLEST)
    return scaled + (-torch.expm1(-scaled)).log() - mean / std


def kind_of(found: Tensor, config: ModelConfig) -> str:
    """What the output of somebody's file must be, from how it looks on noise."""
    if not found.is_floating_point() or (found.ndim == 3 and config.num_classes > 1):
        return "answer"
    if config.task in ("multiclass", "binary", "multilabel") and bool(
        ((found >= 0) & (found <= 1)).all()
    ):
        several = found.ndim == 4 and found.shape[1] > 1 and config.task == "multiclass"
        sums = found.sum(dim=1)
        if not several or torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
            return "probabilities"
    return "logits"


def _wrong(found: Tensor, name: str, wanted: str) -> InputError:
    return InputError(
        f"{name}: returns a tensor of shape {tuple(found.shape)}; must be {wanted}; export it so,"
        " or correct its names"
    )
