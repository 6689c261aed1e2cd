"""Optimisers, and the learning rate as a function of the run's progress."""

import torch
from torch import nn

from pixelwise.train.settings import TrainSettings


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW or SGD; weights decay, biases, norms and scalar gains do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
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
