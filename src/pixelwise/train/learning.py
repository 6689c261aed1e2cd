"""One optimiser step, and the state that it changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.feeding import Batch
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.recipes import frozen_norms, make_optimizer


class NotFinite(Exception):
    """The loss, a gradient or a weight is NaN or infinite."""

    def __init__(self, what: str, names: list[str]) -> None:
        super().__init__(what)
        self.what, self.names = what, names


@dataclass(frozen=True)
class Learnt:
    """What one step saw."""

    loss: float
    gradient_norm: float


class Learner:
    """A plan's network, its optimiser and, where weights are averaged, their average."""

    def __init__(self, plan: TrainingPlan, fabric: Fabric) -> None:
        self.plan, self.fabric = plan, fabric
        settings = plan.settings
        self.averaged: AveragedModel | None = None
        optimizer = make_optimizer(plan.model, settings)
        self._still = frozen_norms(plan.model)
        self.model, self.optimizer = fabric.setup(plan.model, optimizer)
        self.model.mark_forward_method("with_auxiliary")
        if settings.ema:
            self.averaged = AveragedModel(
                plan.model, multi_avg_fn=_average(settings.ema), use_buffers=True
            )

    @property
    def result(self) -> Segmenter:
        """The network that is evaluated and kept: the averaged one where weights are averaged."""
        if self.averaged is None:
            return self.plan.model
        averaged = self.averaged.module
        assert isinstance(averaged, Segmenter)
        return averaged

    def step(self, number: int, batches: Iterator[Batch], lr: float) -> Learnt:
        """Step `number` of the run, counted from 0, at a learning rate.

        Raises:
            NotFinite: The loss or the gradient; the weights are those before the step.
        """
        settings = self.plan.settings
        for module in self._still:
            module.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)
        torch.manual_seed(settings.seed * 1_000_003 + number)  # dropout
        total, names = 0.0, []
        for _ in range(settings.accumulate):
            image, mask, files = next(batches)
            names += files
            loss = self._loss(image.to(self.fabric.device), mask.to(self.fabric.device))
            if not torch.isfinite(loss):
                raise NotFinite("loss", names)
            self.fabric.backward(loss / settings.accumulate)
            total += loss.item() / settings.accumulate
        norm = nn.utils.clip_grad_norm_(self.plan.model.parameters(), settings.clip or float("inf"))
        if not torch.isfinite(norm):
            raise NotFinite("gradient", names)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.averaged is not None:
            self.averaged.update_parameters(self.plan.model)
        return Learnt(total, norm.item())

    def _loss(self, image: Tensor, mask: Tensor) -> Tensor:
        plan = self.plan
        outputs = self.model.with_auxiliary(image)
        loss = plan.loss(outputs.logits, mask)
        for name, extra in outputs.auxiliary.items():
            weight = plan.model.auxiliary_weights[name] * plan.settings.auxiliary
            loss = loss + weight * plan.loss(extra, mask)
        if outputs.presence is not None:
            extra = plan.model.task.presence_loss(outputs.presence, mask)
            if extra is not None:
                loss = loss + plan.model.decoder.presence_weight * plan.settings.auxiliary * extra
        return loss

    def saved(self) -> dict[str, Any]:
        """The state, for a checkpoint.

        Raises:
            NotFinite: A weight.
        """
        if not all(torch.isfinite(p).all() for p in self.plan.model.parameters()):
            raise NotFinite("weight", ["the step before"])
        state: dict[str, Any] = {
            "model": self.plan.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        return state

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self.plan.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(saved["averaged"])


def _average(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
