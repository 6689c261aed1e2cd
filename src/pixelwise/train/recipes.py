"""Optimisers, and the learning rate as a function of the run's progress."""

import math
from itertools import chain

import torch
from torch import nn

from pixelwise.insertion.attached import insertions_of
from pixelwise.insertion.groups import parameter_groups
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.settings import TrainSettings

RISE = 0.3
"""The part of a run in which "one_cycle" rises."""
LOWEST = 1 / 25
"""Where it begins, as a part of the peak."""


def make_optimizer(model: Segmenter, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW or SGD; weights decay, biases, norms and scalar gains do not.

    Every group has its share of the learning rate: insertions have one of their own, with
    `host_lr` 0 all else is frozen, and the backbone's layers have theirs, see `backbone_shares`.
    """
    insertions = insertions_of(model)
    new = set() if insertions is None else set(insertions.parameters())
    host = settings.host_lr if new else 1.0
    parts: dict[str, tuple[list[nn.Parameter], float]] = {"host": ([], host), "inserted": ([], 0.0)}
    parts["inserted"] = [p for p in model.parameters() if p in new], settings.insert_lr
    of_backbone = backbone_shares(model, settings)
    for p in model.parameters():
        if p in new:
            continue
        share = of_backbone.get(p, 1.0)
        name = "host" if share == 1.0 else f"backbone x {share:.4g}"
        parts.setdefault(name, ([], host * share))[0].append(p)
    groups = parameter_groups(parts, settings.weight_decay)
    if settings.recipe == "adamw":
        return torch.optim.AdamW(groups, lr=settings.peak_lr)
    return torch.optim.SGD(groups, lr=settings.peak_lr, momentum=settings.momentum)


def backbone_shares(model: Segmenter, settings: TrainSettings) -> dict[nn.Parameter, float]:
    """Parameter of the backbone -> its share of the learning rate, where that is not 1.

    The last of n layers has `backbone_lr`, the one before `layer_decay` times that, and so on.
    """
    if settings.backbone_lr == settings.layer_decay == 1:
        return {}
    layers = layers_of(model.backbone.body)
    shares: dict[nn.Parameter, float] = {}
    for depth, layer in enumerate(layers):
        share = settings.backbone_lr * settings.layer_decay ** (len(layers) - 1 - depth)
        shares.update(dict.fromkeys(layer, share))
    return shares


def layers_of(body: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of a backbone from its input to its output, block by block.

    A block is what the first number in a parameter's name counts, as `layer2.1` or `blocks.11`;
    what has no number belongs to the block before it.
    """
    found: dict[str, list[nn.Parameter]] = {}
    block = ""
    for name, parameter in body.named_parameters():
        parts = name.split(".")
        numbered = [i for i, part in enumerate(parts) if part.isdecimal()]
        if numbered:
            block = ".".join(parts[: numbered[0] + 1])
        found.setdefault(block, []).append(parameter)
    return list(found.values())


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """Norms whose weights are all frozen: their statistics have to stay too."""
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and (own := list(chain(module.parameters(recurse=False))))
        and not any(p.requires_grad for p in own)
    ]


def learning_rate(settings: TrainSettings, progress: float) -> float:
    """Linear warm-up, then what `schedule` says; `progress` runs from 0 to 1.

    With p the progress since the warm-up,

        poly        (1 - p)^power
        cosine      (1 + cos(pi p)) / 2
        constant    1
        one_cycle   half a cosine from 1/25 up to 1 at 0.3 of the run, another one down to 0,
                    without warm-up

    times the peak. Source of one_cycle: Smith & Topin, "Super-Convergence", 2017,
    https://arxiv.org/abs/1708.07120.
    """
    progress = min(max(progress, 0.0), 1.0)
    if settings.schedule == "one_cycle":
        if progress < RISE:
            low = LOWEST * settings.peak_lr
            return low + (settings.peak_lr - low) * (1 - _falling(progress / RISE))
        return settings.peak_lr * _falling((progress - RISE) / (1 - RISE))
    if progress < settings.warmup:
        return settings.peak_lr * max(progress / settings.warmup, 0.01)
    rest = (progress - settings.warmup) / (1 - settings.warmup)
    if settings.schedule == "constant":
        return settings.peak_lr
    if settings.schedule == "cosine":
        return settings.peak_lr * _falling(rest)
    return settings.peak_lr * float((1 - rest) ** settings.power)


def _falling(part: float) -> float:
    """Half a cosine from 1 down to 0."""
    return (1 + math.cos(math.pi * part)) / 2
