"""One optimiser step, and the state that it changes.

Several processes take a part of each batch. The loss is that of the whole batch in each of them,
see `pixelwise.together`, and gradients are added up, so that a step is that of one process.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pixelwise.networks.base import Outputs
from pixelwise.networks.segmenter import Segmenter
from pixelwise.together import sharing_batches
from pixelwise.train.feeding import Batch
from pixelwise.train.loss_scale import HOPELESS, LossScale
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.processes import current
from pixelwise.train.recipes import frozen_norms, make_optimizer
from pixelwise.train.sharding import take_optimizer, take_weights, whole
from pixelwise.train.synced_norms import sync_norms

STREAMS = 1_000_000_007
"""Apart from each other are the seeds of the processes."""


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
        settings, self._processes = plan.settings, current()
        self._spread = self._processes.count > 1 and settings.strategy == "fsdp"
        self.averaged: AveragedModel | None = None
        self.scale = LossScale() if settings.precision == "fp16" else None
        if settings.sync_norms and self._processes.count > 1:
            sync_norms(plan.model)
        optimizer = make_optimizer(plan.model, settings)  # freezes what does not learn
        self._still = frozen_norms(plan.model)
        if self._spread:
            self._whole = copy.deepcopy(plan.model).to(fabric.device)
            self.model = fabric.setup_module(plan.model)
            self.optimizer = fabric.setup_optimizers(make_optimizer(plan.model, settings))
        else:
            self.model, self.optimizer = fabric.setup(plan.model, optimizer)
        self.model.mark_forward_method("with_auxiliary")
        if settings.ema:
            self.averaged = AveragedModel(
                plan.model, multi_avg_fn=_average(settings.ema), use_buffers=True
            )

    @property
    def result(self) -> Segmenter:
        """The network that is evaluated and kept: the averaged one where weights are averaged.

        All processes have to ask for it.
        """
        network = self.plan.model
        if self.averaged is not None:
            assert isinstance(self.averaged.module, Segmenter)
            network = self.averaged.module
        self._processes.level(list(network.buffers()))
        if self._spread:
            self._whole.load_state_dict(whole(network.state_dict()))
            self._whole.config = network.config
            network = self._whole
        return network

    def step(self, number: int, batches: Iterator[Batch], lr: float) -> Learnt:
        """Step `number` of the run, counted from 0, at a learning rate.

        Raises:
            NotFinite: The loss or the gradient; the weights are those before the step.
        """
        settings, network = self.plan.settings, self.plan.model
        for module in self._still:
            module.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)
        if self._spread:  # else DDP does
            self._processes.level(list(network.buffers()))
        torch.manual_seed(settings.seed * 1_000_003 + number + STREAMS * self._processes.rank)
        kept = [buffer.clone() for buffer in network.buffers()] if self.scale else []
        factor = self._processes.count * (self.scale.factor if self.scale else 1.0)
        loss, names = 0.0, list[str]()
        for i in range(settings.accumulate):
            image, mask, files = next(batches)
            names += files
            image, mask = (one.to(self.fabric.device) for one in (image, mask))
            part = self._backward(image, mask, i, factor)
            loss += part / settings.accumulate
            if not self.scale and not math.isfinite(part):
                raise NotFinite("loss", self._names(names))
        return self._update(loss, names, kept)

    def _backward(self, image: Tensor, mask: Tensor, number: int, factor: float) -> float:
        """Backward of a batch, `number` of those of a step; its loss."""
        accumulate = self.plan.settings.accumulate
        silent = self._processes.count > 1 and number + 1 < accumulate
        with self.fabric.no_backward_sync(self.model, enabled=silent), sharing_batches():
            loss = self._loss(image, mask)
            found = loss.item()
            if self.scale or math.isfinite(found):
                self.fabric.backward(loss * factor / accumulate)
        return found

    def _loss(self, image: Tensor, mask: Tensor) -> Tensor:
        plan, outputs = self.plan, self._outputs(image)
        loss = plan.loss(outputs.logits, mask)
        for name, extra in outputs.auxiliary.items():
            weight = plan.model.auxiliary_weights[name] * plan.settings.auxiliary
            loss = loss + weight * plan.loss(extra, mask)
        if outputs.presence is not None:
            present = plan.model.task.presence_loss(outputs.presence, mask)
            if present is not None:
                weight = plan.model.decoder.presence_weight * plan.settings.auxiliary
                loss = loss + weight * present
            elif self._processes.count > 1:  # DDP waits for the gradient of every output
                loss = loss + 0 * outputs.presence.sum()
        return loss

    def _outputs(self, image: Tensor) -> Outputs:
        """What the network says in the numbers of `precision`; in float32 for the loss.

        Fabric does so for `forward` alone where there is one process.
        """
        with self.fabric.autocast():
            found: Outputs = self.model.with_auxiliary(image)
        return Outputs(
            found.logits.float(),
            {name: logits.float() for name, logits in found.auxiliary.items()},
            None if found.presence is None else found.presence.float(),
        )

    def _update(self, loss: float, names: list[str], buffers: list[Tensor]) -> Learnt:
        """Move the weights by the gradients, if those are finite."""
        weights = list(self.plan.model.parameters())
        if self.scale:
            for weight in weights:
                if weight.grad is not None:
                    weight.grad.div_(self.scale.factor)
        found = nn.utils.clip_grad_norm_(weights, self.plan.settings.clip or float("inf"))
        norm = float(whole(found))
        if math.isfinite(norm) and math.isfinite(loss):
            self.optimizer.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.plan.model)
            if self.scale:
                self.scale.learnt()
        elif self.scale and self.scale.in_a_row < HOPELESS:
            self.scale.skip()
            for buffer, before in zip(self.plan.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        else:
            raise NotFinite("gradient", self._names(names))
        self.optimizer.zero_grad(set_to_none=True)
        return Learnt(loss, norm)

    def _names(self, own: list[str]) -> list[str]:
        return [name for names in self._processes.all(own) for name in names]

    def saved(self) -> dict[str, Any]:
        """The state, for a checkpoint; whole also where weights are spread over processes.

        All processes have to ask for it.

        Raises:
            NotFinite: A weight.
        """
        model = whole(self.plan.model.state_dict())
        if not all(torch.isfinite(model[n]).all() for n, _ in self.plan.model.named_parameters()):
            raise NotFinite("weight", ["the step before"])
        state: dict[str, Any] = {
            "model": model,
            "optimizer": whole(self.optimizer.state_dict()),
        }
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        if self.scale is not None:
            state["scale"] = dataclasses.asdict(self.scale)
        return state

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        take_weights(self.plan.model, saved["model"])
        take_optimizer(self.optimizer, saved["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(saved["averaged"])
        if self.scale is not None and "scale" in saved:
            self.scale = LossScale(**saved["scale"])


def _average(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
