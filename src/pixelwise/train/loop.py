"""The training loop.

Every random draw is a function of (seed, step), so a run that was cut off goes on from its last
checkpoint to the very weights of one that was not.
"""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast, runtime_checkable

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset

from pixelwise.checks import parse_duration
from pixelwise.cost import predict
from pixelwise.data.workers import ending_workers, quiet_worker, worker_died
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.evaluation import evaluate
from pixelwise.shortage import memory_here, told_as_input
from pixelwise.tasks.base import Result
from pixelwise.train import checkpoint
from pixelwise.train.interrupt import Interrupted, StopSignals
from pixelwise.train.journal import Journal
from pixelwise.train.pace import AFTER, LOOKED_AT, Evaluations, Pace, Stopwatch, advice
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.recipes import frozen_norms, learning_rate, make_optimizer

LARGE_BATCH = 200
"""A batch of more than this part of the memory is looked at before the first step."""
Batches = Iterator[list[Any]]
"""Pictures, masks and file names, as the loader collates them."""


class Stopped(Exception):
    """Training cannot go on; the message says why and what is left."""


@runtime_checkable
class Watcher(Protocol):
    """Who looks on: the progress bar, or nobody."""

    def say(self, line: str) -> None:
        """One line of plain text."""

    def step(self, progress: float, step: int, loss: float, elapsed: float) -> None:
        """After every optimiser step; `progress` is 0 to 1."""

    def busy(self, what: str, done: int, total: int) -> None:
        """During anything else that takes time: pictures done, of how many."""

    def validated(self, step: int, result: Result) -> None:
        """After every evaluation of val."""


def _average(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]


@dataclasses.dataclass
class State:
    """How far a run is."""

    step: int = 0
    elapsed: float = 0.0
    validated: int = -1
    """The last step at which val was evaluated."""
    validated_at: float = 0.0
    """The run's progress then."""
    best: float = -math.inf
    best_step: int = 0
    without_better: int = 0
    """Evaluations since then."""
    learnt: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the task that the last evaluation chose."""


class Loop:
    """Trains a plan's model in `run`, from its newest checkpoint if there is one."""

    def __init__(self, plan: TrainingPlan, run: Path, watcher: Watcher) -> None:
        self.plan, self.run, self.watcher = plan, run, watcher
        settings = plan.settings
        kind, _, number = plan.device.partition(":")
        self.fabric = Fabric(
            accelerator=kind,
            devices=[int(number)] if number else 1,
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        )
        self.state = State()
        self.evaluations = Evaluations(settings.validations)
        self.ending = 0.0
        """Seconds between the last step and the end, where a time limit counts them."""
        self.complete: Result | None = None
        """The scores of the best network on all pictures, where this process found them."""
        self.averaged: AveragedModel | None = None
        optimizer = make_optimizer(plan.model, settings)
        self._still = frozen_norms(plan.model)
        self.model, self.optimizer = self.fabric.setup(plan.model, optimizer)
        self.model.mark_forward_method("with_auxiliary")
        if settings.ema:
            self.averaged = AveragedModel(
                plan.model, multi_avg_fn=_average(settings.ema), use_buffers=True
            )
        self._restore()

    def fit(self) -> State:
        """Train to the end of the plan.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; the state is saved.
            Stopped: The loss or a gradient is not finite; the last good checkpoint is kept.
        """
        journal = Journal(self.run, self.state.step, self.state.validated)
        try:
            with StopSignals() as signals, ending_workers(), self._enough_memory():
                self._refuse_hopeless()
                try:
                    self._train(journal, signals)
                except Interrupted:
                    self._save(journal)
                    raise
        except OSError as error:
            raise InputError(
                f"{error.filename or self.run}: cannot be written ({error.strerror or error}); free"
                f" some space, then: pixelwise train --resume {self.run}"
            ) from error
        finally:
            with contextlib.suppress(OSError):  # what counts was flushed with the checkpoint
                journal.close()
        return self.state

    def _train(self, journal: Journal, signals: StopSignals) -> None:
        saved_at = time.monotonic()
        started = saved_at - self.state.elapsed
        every = self.plan.settings.checkpoint_every
        pause = 0.0 if every == "0" else parse_duration(checkpoint_every=every)
        batches = self._batches()
        if self.plan.settings.start is not None and self.state.validated < 0:
            self._validate(journal, signals)
        seconds: list[float] = []
        while (progress := self._progress()) < 1:
            if signals.received is not None:
                raise Interrupted(signals.received, self.state.step, self.run)
            if self._part(progress) > self._part(self.state.validated_at):
                self._validate(journal, signals)
            if self._in_vain():
                break
            row = self._step(batches, learning_rate(self.plan.settings, progress))
            journal.step(row)
            seconds.append(row["seconds"])
            if len(seconds) == AFTER:
                self._look_ahead(statistics.mean(seconds[1:]), signals)
            now = time.monotonic()
            self.state.elapsed = now - started
            if now - saved_at >= pause:
                self._save(journal)
                saved_at = time.monotonic()
        if self.state.validated != self.state.step:
            self._validate(journal, signals)
            self.state.elapsed = time.monotonic() - started
        self._save(journal)

    @property
    def result(self) -> Segmenter:
        """The network that is evaluated and kept: the averaged one where weights are averaged."""
        if self.averaged is None:
            return self.plan.model
        averaged = self.averaged.module
        assert isinstance(averaged, Segmenter)
        return averaged

    def keep(self, folder: Path) -> None:
        """Save the network with the options that the last evaluation chose."""
        model = self.result
        training = model.config
        options = {**training.task_options, **self.state.learnt}
        try:
            model.config = dataclasses.replace(training, task_options=options)
            model.save_pretrained(folder)
        finally:
            model.config = training  # the next evaluation chooses anew

    def _progress(self) -> float:
        length = self.plan.length
        if length.steps is not None:
            return self.state.step / length.steps
        assert length.seconds is not None
        return self.state.elapsed / max(length.seconds - self.ending, length.seconds / 2)

    def _part(self, progress: float) -> int:
        """Evaluations are spread evenly over the run; the last one is at its end."""
        return int(progress * self.evaluations.count)

    def _look_ahead(self, step: float, signals: StopSignals) -> None:
        """Tell what the run takes, and evaluate val as often as a time limit allows."""
        plan, limit, watch = self.plan, self.plan.length.seconds, Stopwatch()
        pictures = len(plan.data.val)
        some = Subset(cast(Any, plan.val_inputs), range(min(LOOKED_AT, pictures)))
        self._evaluate(some, signals, lambda *_: watch.picture())
        pace, left = Pace(step, watch.total(pictures), pictures), None
        if limit is not None:
            self.evaluations = pace.evaluations(limit, plan.settings.validations)
            self.ending = pace.ending(self.evaluations)
            left = limit - self.state.elapsed
        begun = self.state.step
        self.watcher.say(pace.line(self.evaluations, plan.length.steps, left, begun))
        if left is not None:
            steps = begun + pace.steps_within(left, self.evaluations)
            if (told := advice(plan.settings, steps)) is not None:
                self.watcher.say(told)

    def _batches(self) -> Batches:
        settings, steps = self.plan.settings, self.plan.length.steps
        per_step = settings.per_step
        end = len(self.plan.stream) if steps is None else steps * per_step
        stream: Any = self.plan.stream
        loader: DataLoader[Any] = DataLoader(
            stream,
            batch_size=settings.per_batch,
            sampler=self._order(self.state.step * per_step, end),
            num_workers=settings.workers,
            worker_init_fn=quiet_worker,
            pin_memory=self.plan.device.startswith("cuda"),
            generator=torch.Generator(),
        )
        return iter(loader)

    def _order(self, begun: int, end: int) -> Iterable[int]:
        """Which items of the stream come, from the first that is not learnt yet."""
        if self.plan.settings.overfit_one_batch:
            return (i % self.plan.settings.per_step for i in range(begun, end))
        return range(begun, end)

    def _in_vain(self) -> bool:
        """Whether the run ends early, since evaluations brought nothing better for long."""
        patience, state = self.plan.settings.patience, self.state
        if patience is None or state.without_better < patience:
            return False
        self.watcher.say(
            f"early   {state.without_better} evaluations brought nothing better than step"
            f" {state.best_step}: this is the end (patience)"
        )
        return True

    def _step(self, batches: Batches, lr: float) -> dict[str, Any]:
        settings, state = self.plan.settings, self.state
        begun = time.monotonic()
        for module in self._still:
            module.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)
        torch.manual_seed(settings.seed * 1_000_003 + state.step)  # dropout
        total, names = 0.0, []
        for _ in range(settings.accumulate):
            image, mask, files = self._next(batches)
            names += files
            loss = self._loss(image.to(self.fabric.device), mask.to(self.fabric.device))
            if not torch.isfinite(loss):
                self._not_finite("loss", names)
            self.fabric.backward(loss / settings.accumulate)
            total += loss.item() / settings.accumulate
        norm = nn.utils.clip_grad_norm_(self.plan.model.parameters(), settings.clip or float("inf"))
        if not torch.isfinite(norm):
            self._not_finite("gradient", names)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.averaged is not None:
            self.averaged.update_parameters(self.plan.model)
        state.step += 1
        self.watcher.step(self._progress(), state.step, total, state.elapsed)
        return {
            "step": state.step,
            "epoch": round(state.step / self.plan.steps_per_epoch, 3),
            "loss": total,
            "lr": lr,
            "gradient_norm": norm.item(),
            "seconds": round(time.monotonic() - begun, 4),
        }

    def _next(self, batches: Batches) -> tuple[Tensor, Tensor, list[str]]:
        try:
            image, mask, files = next(batches)
            return image, mask, list(files)
        except RuntimeError as error:
            if not worker_died(error):
                raise
            self._loader_died(error)

    def _loader_died(self, error: Exception) -> NoReturn:
        raise Stopped(
            f"a process that loads pictures was killed at step {self.state.step + 1}, perhaps for"
            f" lack of memory, shared memory (/dev/shm) too. Go on with fewer 'workers' in"
            f" {self.run}/config.yaml: pixelwise train --resume {self.run}"
        ) from error

    def _refuse_hopeless(self) -> None:
        """Raise where a step needs more than the machine has: Linux would kill the process."""
        here = memory_here()
        batch = 4 * math.prod(self._batch_shape)
        if here is None or self.plan.device != "cpu" or batch < here / LARGE_BATCH:
            return
        with contextlib.suppress(InputError):  # of a shape that no tensor can have
            batch += self._step_needs()
        if batch > here:
            raise MemoryError

    @property
    def _batch_shape(self) -> tuple[int, int, int, int]:
        bands = self.plan.model.config.in_channels
        return (self.plan.settings.per_batch, bands, *self.plan.stream.crop)

    def _step_needs(self) -> int:
        return predict(self.plan.model, self._batch_shape, training=True, device=self.plan.device)

    def _enough_memory(self) -> AbstractContextManager[None]:
        """Tell a shortage in one line, with what a step needs and the newest checkpoint."""
        settings = self.plan.settings
        height, width = self.plan.stream.crop

        def kept() -> str:
            newest = checkpoint.newest(self.run)
            then = f", then: pixelwise train --resume {self.run}"
            return f" in {self.run}/config.yaml{then} (goes on from {newest})" if newest else ""

        return told_as_input(
            f"batch_size={settings.per_batch}, crop={height}x{width}: lower one of them"
            " (--batch-size, --crop; accumulate keeps the batch's effect)",
            self._step_needs,
            kept,
        )

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

    def _not_finite(self, what: str, names: list[str]) -> NoReturn:
        newest = checkpoint.newest(self.run)
        kept = (
            f"the last good checkpoint is {newest}" if newest else "no checkpoint was written yet"
        )
        raise Stopped(
            f"the {what} is not finite at step {self.state.step + 1}, in the batch of"
            f" {', '.join(names)}; {kept}. Lower --lr or set clip, and look at those pictures"
        )

    def _validate(self, journal: Journal, signals: StopSignals) -> None:
        plan, state, every = self.plan, self.state, self.evaluations.every
        pictures: Any = plan.val_inputs
        if every > 1:
            pictures = Subset(pictures, range(0, len(plan.data.val), every))
        count = len(pictures)

        def watch(index: int, predicted: Tensor, mask: Tensor) -> None:
            self.watcher.busy("evaluating", index + 1, count)

        result = self._evaluate(pictures, signals, watch)
        state.validated, state.validated_at = state.step, self._progress()
        row: dict[str, Any] = {
            "step": state.step,
            "epoch": round(state.step / plan.steps_per_epoch, 3),
            **result.numbers(),
        }
        journal.validation(row)
        state.without_better += 1
        state.learnt = dict(result.learnt())
        if result.best > state.best:
            state.best, state.best_step, state.without_better = result.best, state.step, 0
            self.complete = result if every == 1 else None
            self.keep(self.run)
        self.watcher.validated(state.step, result)

    def _evaluate(
        self, pictures: Any, signals: StopSignals, on_picture: Callable[[int, Tensor, Tensor], None]
    ) -> Result:
        plan = self.plan

        def watch(index: int, predicted: Tensor, mask: Tensor) -> None:
            if signals.received is not None:
                raise Interrupted(signals.received, self.state.step, self.run)
            on_picture(index, predicted, mask)

        try:
            return evaluate(
                self.result,
                pictures,
                scorer=plan.model.task.scorer_for(plan.val_inputs),
                window=plan.settings.window,
                device=self.fabric.device,
                workers=plan.settings.workers,
                on_picture=watch,
            )
        except RuntimeError as error:
            if not worker_died(error):
                raise
            self._loader_died(error)

    def _save(self, journal: Journal) -> None:
        if not all(torch.isfinite(p).all() for p in self.plan.model.parameters()):
            self._not_finite("weight", ["the step before"])
        journal.flush()
        state: dict[str, Any] = {
            "state": dataclasses.asdict(self.state),
            "model": self.plan.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        checkpoint.save(self.run, self.state.step, state)

    def _restore(self) -> None:
        found = checkpoint.load_newest(self.run, self.watcher.say)
        if found is None and self.plan.network.bare:
            raise InputError(
                f"{self.run}: no checkpoint can be read, and {self.plan.settings.start}, which the"
                " run started from, is gone; bring it back"
            )
        if found is None:
            return
        path, saved = found
        try:
            self.state = State(**saved["state"])
            self.plan.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            if self.averaged is not None:
                self.averaged.load_state_dict(saved["averaged"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            told = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path}: does not fit the run's network ({told}); undo what changed in"
                " config.yaml, or start a new run"
            ) from error
        self.watcher.say(f"resume  {path}, step {self.state.step}")
