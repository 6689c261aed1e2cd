"""What is written of the blended logits: answers, probabilities, or how unsure a network is."""

import math

import torch
from numpy import ndarray
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.tasks.bands import NO_SHARE, Bands, shares
from pixelwise.tasks.base import Task


def answers(task: Task) -> Bands:
    """The task's own answer."""
    return task.bands()


def probabilities(task: Task) -> Bands:
    """The probability of each class or label, in ten thousandths."""

    def numbers(logits: Tensor, missing: Tensor | None) -> ndarray:
        return shares(task.shares(logits)[1], missing)

    return Bands(_names(task), "uint16", NO_SHARE, numbers)


def uncertainty(task: Task) -> Bands:
    """The entropy of the class probabilities over that of a uniform guess, in ten thousandths.

    Of labels, each has a band: the entropy of its being there.
    """
    names = _names(task)
    single = task.data == "labels"

    def numbers(logits: Tensor, missing: Tensor | None) -> ndarray:
        p = task.shares(logits)[1].double()
        if single:
            found = (_surprise(p) + _surprise(1 - p)) / math.log(2)
        else:
            found = _surprise(p).sum(0, keepdim=True) / math.log(len(p))
        return shares(found, missing)

    return Bands(names if single else ("uncertainty",), "uint16", NO_SHARE, numbers)


PRODUCTS = {"answer": answers, "probability": probabilities, "uncertainty": uncertainty}
"""What can be written, by name."""


def _names(task: Task) -> tuple[str, ...]:
    if task.data not in ("classes", "labels"):
        raise InputError(f"task={task.key!r}: gives no probabilities; ask for the answer alone")
    return task.shares(torch.zeros(task.outputs, 1, 1))[0]


def _surprise(p: Tensor) -> Tensor:
    return -torch.special.xlogy(p, p)
