"""Optimisers, and the learning rate as a function of the run's progress."""

import torch
from torch import nn

from pixelwise.insertion.attached import insertions_of
from pixelwise.insertion.groups import parameter_groups
from pixelwise.train.settings import TrainSettings


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW or SGD; weights decay, biases, norms and scalar gains do not.

    Every group has its share of the learning rate: insertions have one of their own, and with
    `host_lr` 0 all else is frozen.
    """
    insertions = insertions_of(model)
    new = set() if insertions is None else set(insertions.parameters())
    host = [p for p in model.parameters() if p not in new]
    parts = {
        "host": (host, settings.host_lr if new else 1.0),
        "inserted": ([p for p in model.parameters() if p in new], settings.insert_lr),
    }
    groups = parameter_groups(parts, settings.weight_decay)
    if settings.recipe == "adamw":
        return torch.optim.AdamW(groups, lr=settings.peak_lr)
    return torch.optim.SGD(groups, lr=settings.peak_lr, momentum=settings.momentum)


def learning_rate(settings: TrainSettings, progress: float) -> float:
    """Linear warm-up, then polynomial decay to zero; `progress` runs from 0 to 1."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < settings.warmup:
        return settings.peak_lr * max(progress / settings.warmup, 0.01)
    rest = (progress - settings.warmup) / (1 - settings.warmup)
    return settings.peak_lr * float((1 - rest) ** settings.power)
