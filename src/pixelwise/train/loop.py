"""The training loop.

Every random draw is a function of (seed, step), so a run that was cut off goes on from its last
checkpoint to the very weights of one that was not.
"""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import Subset

from pixelwise.checks import parse_duration
from pixelwise.data.workers import ending_workers
from pixelwise.errors import InputError
from pixelwise.predict.evaluation import evaluate
from pixelwise.tasks.base import Result
from pixelwise.train import checkpoint
from pixelwise.train.feeding import Batch, batches, loader_died
from pixelwise.train.interrupt import Interrupted, Stopped, StopSignals
from pixelwise.train.journal import Journal
from pixelwise.train.learning import Learner, NotFinite
from pixelwise.train.loggers.sending import Loggers
from pixelwise.train.memory import enough_memory, refuse_hopeless
from pixelwise.train.pace import AFTER, LOOKED_AT, Evaluations, Pace, Stopwatch, advice
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.recipes import learning_rate
from pixelwise.train.watching import Watcher


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

    def __init__(self, plan: TrainingPlan, run: Path, watcher: Watcher, loggers: Loggers) -> None:
        self.plan, self.run, self.watcher, self.loggers = plan, run, watcher, loggers
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
        self.learner = Learner(plan, self.fabric)
        self._restore()

    def fit(self) -> State:
        """Train to the end of the plan.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; the state is saved.
            Stopped: The loss or a gradient is not finite; the last good checkpoint is kept.
        """
        try:
            state, say = self.state, self.watcher.say
            journal = Journal(self.run, state.step, state.validated, say, self.loggers)
            try:
                self._train_watched(journal)
            finally:
                with contextlib.suppress(OSError):  # what counts was flushed with the checkpoint
                    journal.flush()
        except OSError as error:
            raise InputError(
                f"{error.filename or self.run}: cannot be written ({error.strerror or error}); free"
                f" some space, then: pixelwise train --resume {self.run}"
            ) from error
        return self.state

    def _train_watched(self, journal: Journal) -> None:
        with StopSignals() as signals, ending_workers(), enough_memory(self.plan, self.run):
            refuse_hopeless(self.plan)
            try:
                self._train(journal, signals)
            except Interrupted:
                self._save(journal)
                raise

    def _train(self, journal: Journal, signals: StopSignals) -> None:
        saved_at = time.monotonic()
        started = saved_at - self.state.elapsed
        every = self.plan.settings.checkpoint_every
        pause = 0.0 if every == "0" else parse_duration(checkpoint_every=every)
        feed = batches(self.plan, self.state.step)
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
            row = self._step(feed, learning_rate(self.plan.settings, progress))
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

    def keep(self, folder: Path) -> None:
        """Save the network with the options that the last evaluation chose."""
        model = self.learner.result
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

    def _step(self, feed: Iterator[Batch], lr: float) -> dict[str, Any]:
        state = self.state
        begun = time.monotonic()
        try:
            learnt = self.learner.step(state.step, feed, lr)
        except NotFinite as error:
            self._not_finite(error)
        except RuntimeError as error:
            loader_died(error, state.step + 1, self.run)
        state.step += 1
        self.watcher.step(self._progress(), state.step, learnt.loss, state.elapsed)
        return {
            "step": state.step,
            "epoch": round(state.step / self.plan.steps_per_epoch, 3),
            "loss": learnt.loss,
            "lr": lr,
            "gradient_norm": learnt.gradient_norm,
            "seconds": round(time.monotonic() - begun, 4),
        }

    def _not_finite(self, error: NotFinite) -> NoReturn:
        newest = checkpoint.newest(self.run)
        kept = (
            f"the last good checkpoint is {newest}" if newest else "no checkpoint was written yet"
        )
        raise Stopped(
            f"the {error.what} is not finite at step {self.state.step + 1}, in the batch of"
            f" {', '.join(error.names)}; {kept}. Lower --lr or set clip, and look at those pictures"
        ) from error

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
                self.learner.result,
                pictures,
                scorer=plan.model.task.scorer_for(plan.val_inputs),
                window=plan.settings.window,
                device=self.fabric.device,
                workers=plan.settings.workers,
                on_picture=watch,
            )
        except RuntimeError as error:
            loader_died(error, self.state.step + 1, self.run)

    def _save(self, journal: Journal) -> None:
        try:
            learnt = self.learner.saved()
        except NotFinite as error:
            self._not_finite(error)
        journal.flush()
        state = {"state": dataclasses.asdict(self.state), **learnt}
        checkpoint.save(self.run, self.state.step, state, keep=self.plan.settings.keep)
        journal.settle()

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
            self.learner.restore(saved)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            told = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path}: does not fit the run's network ({told}); undo what changed in"
                " config.yaml, or start a new run"
            ) from error
        self.watcher.say(f"resume  {path}, step {self.state.step}")
