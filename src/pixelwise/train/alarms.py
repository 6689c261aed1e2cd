"""What a run is warned of: what it should have learnt by now and has not.

Every rule is a function of recorded rows (`steps.csv`, `validation.csv`) and of results, so that it
can be tried on any run. A warning is one line with a remedy.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pixelwise.language import joined, message, spoken, translate
from pixelwise.tasks.base import Result
from pixelwise.train.settings import TrainSettings

BEGIN = 1 / 3
"""No run is warned in this first part of it."""
FEWEST = 50
"""Steps that say something of a loss, or of a class that is not found yet."""
UNSEEN = 0.001
"""An IoU below it is as good as none."""
FALL = 0.03
"""A loss that falls by less than this part of itself does not fall."""
RISE = 0.5
"""A loss of a network that was trained already may rise by this part of itself."""
FIRST = 50
"""So many steps at most are looked at at each end."""
NAMED = 4

Row = Mapping[str, Any]


class Alarms:
    """Tells each warning of a run once, and knows at the end which of them hold.

    Args:
        settings: The run's.
        warn: Takes a line.
    """

    def __init__(self, settings: TrainSettings, warn: Callable[[str], None]) -> None:
        self._settings, self._warn = settings, warn
        self._told: set[str] = set()

    @staticmethod
    def due(progress: float) -> bool:
        """Whether it is time to look; at the end everything is told."""
        return BEGIN <= progress < 1

    def look(
        self, progress: float, steps: Sequence[Row], evaluations: Sequence[Row], best: Result | None
    ) -> None:
        """After an evaluation.

        Args:
            progress: Of the run, 0 to 1.
            steps: Rows of all steps.
            evaluations: Rows of all evaluations.
            best: What was found just now, where it is the best so far.
        """
        if not self.due(progress):
            return
        found = {"loss": loss_stays(steps, self._settings)}
        if len(steps) >= FEWEST and best is not None and len(evaluations) > 1:
            found["useless"] = best.warning()
            if found["useless"] is None:
                found["class"] = never_found(evaluations, best, self._settings)
        for key, line in found.items():
            if line is not None and key not in self._told:
                self._told.add(key)
                self._warn(translate("warning: {line}").format(line=spoken(line)))

    def at_the_end(
        self, steps: Sequence[Row], evaluations: Sequence[Row], best: Result
    ) -> tuple[str, ...]:
        """All that holds of a finished run and its best network."""
        lines = [loss_stays(steps, self._settings), useless := best.warning()]
        if useless is None and len(steps) >= FEWEST:
            lines.append(never_found(evaluations, best, self._settings))
        return tuple(line for line in lines if line is not None)


def never_found(evaluations: Sequence[Row], best: Result, settings: TrainSettings) -> str | None:
    """A line on classes of val that no evaluation found.

    Args:
        evaluations: Their rows; an IoU is None where a class is absent.
        best: The best network's scores, or the last.
        settings: The run's.
    """
    lost = {
        name: share
        for name, share in best.unfound(UNSEEN).items()
        if max(_numbers(row.get(f"iou_{name}") for row in evaluations), default=0.0) < UNSEEN
    }
    if not lost:
        return None
    rarest = sorted(lost, key=lambda name: -lost[name])
    each = (
        message("{name} ({percent} of val)", name=name, percent=_percent(lost[name]))
        for name in rarest[:NAMED]
    )
    named = joined(", ", each)
    more = message(" and {named} more", named=len(lost) - NAMED) if len(lost) > NAMED else ""
    times = (
        message("all {evaluations} evaluations", evaluations=len(evaluations))
        if len(evaluations) > 1
        else message("the evaluation")
    )
    return message(
        "not found at all, IoU 0 in {times}: {named}{more}; {for_rare_classes},"
        " and look at the labels (pixelwise check-data)",
        times=times,
        named=named,
        more=more,
        for_rare_classes=_for_rare_classes(settings),
    )


def _for_rare_classes(settings: TrainSettings) -> str:
    """What a run has not tried yet."""
    tries: list[str] = []
    if settings.balance == "none":
        tries.append("--balance auto")
    if settings.class_weights == "none":
        tries.append("--class-weights auto")
    if not any(name in settings.loss for name in ("dice", "tversky", "lovasz")):
        tries.append('--loss "ce+dice"')
    tries.append(message("a longer training"))
    either = [", ".join(tries[:-1]), tries[-1]] if tries[:-1] else tries
    return message("try {tries}", tries=joined(message(" or "), either))


def loss_stays(steps: Sequence[Row], settings: TrainSettings) -> str | None:
    """A line where the loss of the last steps is not below that of the first.

    Medians are compared, and a fall that is less than their uncertainty is none. A network that
    was trained before has little to gain: its loss may stay, but not rise much.

    Args:
        steps: Rows of all steps.
        settings: The run's.
    """
    losses = _numbers(row.get("loss") for row in steps)
    if len(losses) < FEWEST:
        return None
    count = min(max(len(losses) // 5, 8), FIRST)
    first, last = losses[:count], losses[-count:]
    begun, now = statistics.median(first), statistics.median(last)
    spread = statistics.median(abs(loss - begun) for loss in first)
    uncertain = 1.86 * spread / count**0.5  # standard error of the median of normal values
    fall = begun - now
    if settings.start is not None:
        if fall > -RISE * abs(begun) - 3 * uncertain:
            return None
        return message(
            "the loss rose from {begun:.3g} to {now:.3g} from a network that was"
            " trained already; lower --lr (now {peak_lr:g}), and look whether the"
            " labels mean the same",
            begun=begun,
            now=now,
            peak_lr=settings.peak_lr,
        )
    if fall > max(FALL * abs(begun), 2 * uncertain):
        return None
    told = message(
        "the loss does not fall: {begun:.3g} at first, {now:.3g} in the last {count} steps",
        begun=begun,
        now=now,
        count=count,
    )
    if settings.overfit_one_batch:
        return message(
            "{told}, of one batch; try another --lr (now {peak_lr:g}), and look"
            " whether pictures and labels belong together",
            told=told,
            peak_lr=settings.peak_lr,
        )
    return message(
        "{told}; try another --lr (now {peak_lr:g}), look at the labels"
        " (pixelwise check-data), and whether one batch can be learnt:"
        " --overfit-one-batch true",
        told=told,
        peak_lr=settings.peak_lr,
    )


def _numbers(values: Iterable[Any]) -> list[float]:
    """Those that are numbers: a table may have been edited by hand."""
    return [float(value) for value in values if isinstance(value, int | float)]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
