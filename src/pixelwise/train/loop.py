"""The training loop.

Every random draw is a function of (seed, step), so a run that was cut off goes on from its last
checkpoint to the very weights of one that was not.
"""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from torch import Tensor
from torch.utils.data import Subset

from pixelwise.checks import parse_duration
from pixelwise.compiling.telling import Compiling
from pixelwise.data.workers import ending_workers
from pixelwise.errors import InputError
from pixelwise.language import translate
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.evaluation import evaluate
from pixelwise.tasks.base import Result
from pixelwise.train import checkpoint
from pixelwise.train.alarms import Alarms
from pixelwise.train.engine import engine
from pixelwise.train.feeding import Waited, batches, loader_died
from pixelwise.train.interrupt import Interrupted, Stopped, StopSignals
from pixelwise.train.journal import Journal, Unwritten
from pixelwise.train.learning import Learner, NotFinite
from pixelwise.train.loggers.sending import Loggers
from pixelwise.train.loss_scale import TOLD
from pixelwise.train.memory import enough_memory, refuse_hopeless
from pixelwise.train.pace import (
    AFTER,
    LATER,
    LOOKED_AT,
    Evaluations,
    Pace,
    Stopwatch,
    advice,
    share_waited,
    waits,
)
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.processes import ALONE, Processes, current
from pixelwise.train.recipes import learning_rate
from pixelwise.train.shared_scoring import SharedScorer
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


class _Asked(Exception):
    """This process was asked to stop; the others do not know yet."""


class Loop:
    """Trains a plan's model in `run`, from its newest checkpoint if there is one."""

    def __init__(
        self,
        plan: TrainingPlan,
        run: Path,
        watcher: Watcher,
        loggers: Loggers,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.plan, self.run, self.watcher, self.loggers = plan, run, watcher, loggers
        self.processes, self.fabric = current(), engine(plan)
        self.alarms = Alarms(plan.settings, warn or watcher.say)
        self.state = State()
        self.evaluations = Evaluations(plan.settings.validations)
        self.ending = 0.0
        """Seconds between the last step and the end, where a time limit counts them."""
        self.complete: Result | None = None
        """The scores of the best network on all pictures, where this process found them."""
        self.compiling = Compiling(plan.settings.compile, watcher.say)
        self.compiling.take(plan.model)
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
            journal: Journal = Unwritten()
            if self.processes.leads:
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
        signals = StopSignals(repeated=self.processes.count > 1)
        with signals, ending_workers(), enough_memory(self.plan, self.run):
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
        feed = Waited(batches(self.plan, self.state.step))
        if self.plan.settings.start is not None and self.state.validated < 0:
            self._validate(journal, signals)
        seconds: list[float] = []
        waited: list[dict[str, Any]] | None = []
        self._agree(signals)
        while (progress := self._progress()) < 1:
            if self._part(progress) > self._part(self.state.validated_at):
                self._validate(journal, signals)
            if self._in_vain():
                break
            row = self._step(feed, learning_rate(self.plan.settings, progress), signals)
            journal.step(row)
            self.compiling.tell()
            seconds.append(row["seconds"])
            if len(seconds) == AFTER:
                self._look_ahead(statistics.mean(seconds[1:]), signals)
            if waited is not None:
                waited.append(row)
                if len(waited) in (AFTER, LATER) and self._waits(waited):
                    waited = None
            now = time.monotonic()
            if self._agree(signals, now - started, now - saved_at >= pause):
                self._save(journal)
                saved_at = time.monotonic()
        if self.state.validated != self.state.step:
            self._validate(journal, signals)
            self._agree(signals, time.monotonic() - started)
        self._save(journal)
        self._told_skipped()

    def _agree(self, signals: StopSignals, elapsed: float | None = None, due: bool = False) -> bool:
        """All processes stop where one was asked to; clock and `due` are those of the first.

        Raises:
            Interrupted: In all of them.
        """
        leads, before = self.processes.leads, self.state.elapsed
        asked, elapsed, due_now = self.processes.tick(
            signals.received or 0,
            (before if elapsed is None else elapsed) if leads else 0.0,
            leads and due,
        )
        self.state.elapsed = float(elapsed)
        if asked:
            raise Interrupted(int(asked), self.state.step, self.run)
        return bool(due_now)

    def _told_skipped(self) -> None:
        scale = self.learner.scale
        if scale is not None and scale.skipped:
            self.watcher.say(
                translate(
                    "fp16    {skipped} of {step} steps were left out: their gradients were"
                    " not finite"
                ).format(skipped=scale.skipped, step=self.state.step)
            )

    def keep(self, folder: Path) -> None:
        """Save the network with the options that the last evaluation chose."""
        model = self.learner.result
        if not self.processes.leads:
            return
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
        pictures = math.ceil(len(plan.data.val) / self.processes.count)
        some = Subset(cast(Any, plan.val_inputs), range(min(LOOKED_AT, pictures)))
        self._evaluate(some, signals, lambda *_: watch.picture())
        pace = self.processes.first(lambda: Pace(step, watch.total(pictures), pictures))
        left = None
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

    def _waits(self, rows: Sequence[dict[str, Any]]) -> bool:
        """Tell where steps wait long for pictures."""
        told = waits(share_waited(rows), self.plan.settings.loaders)
        if told is not None:
            self.watcher.say(told)
        return told is not None or len(rows) >= LATER

    def _in_vain(self) -> bool:
        """Whether the run ends early, since evaluations brought nothing better for long."""
        patience, state = self.plan.settings.patience, self.state
        if patience is None or state.without_better < patience:
            return False
        self.watcher.say(
            translate(
                "early   {without_better} evaluations brought nothing better than step"
                " {best_step}: this is the end (patience)"
            ).format(without_better=state.without_better, best_step=state.best_step)
        )
        return True

    def _step(self, feed: Waited, lr: float, signals: StopSignals) -> dict[str, Any]:
        state = self.state
        begun = time.monotonic()
        try:
            learnt = self.learner.step(state.step, feed, lr)
        except NotFinite as error:
            self._not_finite(error)
        except RuntimeError as error:
            loader_died(error, signals, state.step, self.run)
        except ValueError as error:
            self._too_small(error)
        state.step += 1
        if math.isfinite(learnt.loss):
            self.watcher.step(self._progress(), state.step, learnt.loss, state.elapsed)
        scale = self.learner.scale
        if scale is not None and scale.in_a_row == TOLD:
            self.watcher.say(
                f"fp16    {TOLD} steps in a row were left out at step {state.step}: their gradients"
                " are not finite; lower --lr, or take --precision bf16 or 32"
            )
        return {
            "step": state.step,
            "epoch": round(state.step / self.plan.steps_per_epoch, 3),
            "loss": learnt.loss,
            "lr": lr,
            "gradient_norm": learnt.gradient_norm,
            "seconds": round(time.monotonic() - begun, 4),
            "waiting": round(feed.since(), 4),
            **({} if scale is None else {"skipped": scale.skipped}),
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

    def _too_small(self, error: ValueError) -> NoReturn:
        """Batch norm in training has nothing to normalise where one value is left."""
        if "more than 1 value per channel" not in str(error):
            raise error
        height, width = self.plan.stream.crop
        size = self.plan.settings.per_batch
        raise InputError(
            f"batch_size={size}, crop={height}x{width}: leave one value per channel inside the"
            " network, which batch norm cannot train on; take --batch-size 2 or a larger --crop"
        ) from error

    def _validate(self, journal: Journal, signals: StopSignals) -> None:
        plan, state, every = self.plan, self.state, self.evaluations.every
        pictures: Any = plan.val_inputs
        if every > 1 or self.processes.count > 1:
            own = slice(self.processes.rank, None, self.processes.count)
            pictures = Subset(pictures, range(0, len(plan.data.val), every)[own])
        count = len(pictures)

        def watch(index: int, predicted: Tensor, mask: Tensor) -> None:
            self.watcher.busy("evaluating", index + 1, count)

        result = self._evaluate(pictures, signals, watch, self.processes)
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
        self.compiling.tell()
        progress = self._progress()
        if self.alarms.due(progress):  # else the tables need not be read
            best = result if state.best_step == state.step else None
            self.alarms.look(progress, *journal.rows(), best)

    def _evaluate(
        self,
        pictures: Any,
        signals: StopSignals,
        on_picture: Callable[[int, Tensor, Tensor], None],
        sharing: Processes = ALONE,
        network: Segmenter | None = None,
    ) -> Result:
        """Score pictures; where they are shared out, `sharing` has the others."""
        plan = self.plan

        def watch(index: int, predicted: Tensor, mask: Tensor) -> None:
            if signals.received is not None:
                raise _Asked
            on_picture(index, predicted, mask)

        own = plan.model.task.scorer_for(plan.val_inputs)
        try:
            return evaluate(
                network or self.learner.result,
                pictures,
                scorer=SharedScorer(own, sharing, lambda: self._agree(signals)),
                window=plan.settings.window,
                device=self.fabric.device,
                workers=plan.settings.loaders,
                on_picture=watch,
            )
        except _Asked:
            self._agree(signals)
            raise
        except RuntimeError as error:
            loader_died(error, signals, self.state.step, self.run)

    def _save(self, journal: Journal) -> None:
        try:
            learnt = self.learner.saved()
        except NotFinite as error:
            self._not_finite(error)
        journal.flush()
        state = {"state": dataclasses.asdict(self.state), **learnt}
        if self.processes.leads:
            checkpoint.save(self.run, self.state.step, state, keep=self.plan.settings.keep)
        journal.settle()

    def _restore(self) -> None:
        found = self._newest()
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
        self.watcher.say(
            translate("resume  {path}, step {step}").format(path=path, step=self.state.step)
        )

    def _newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that the first process can read."""
        found = checkpoint.load_newest(self.run, self.watcher.say) if self.processes.leads else None
        path = self.processes.first(lambda: None if found is None else found[0])
        if path is None or self.processes.leads:
            return found
        return path, checkpoint.load_shared(path)
