"""Losses per pixel and per region that leave ignored pixels out, and weighted sums of them."""

from pixelwise.losses.choice import Loss, loss_for
from pixelwise.losses.kinds import LOSSES
from pixelwise.losses.presence import occurrence_loss, presence_loss
from pixelwise.losses.terms import read_loss
from pixelwise.losses.weights import class_weights_from_counts

__all__ = [
    "LOSSES",
    "Loss",
    "class_weights_from_counts",
    "loss_for",
    "occurrence_loss",
    "presence_loss",
    "read_loss",
]
