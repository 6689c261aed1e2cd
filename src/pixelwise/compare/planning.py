"""What a comparison trains, and for how long, from what it costs on this machine."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pixelwise.compare.arms import Arm, arms, longer
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.controls import TOLERANCE
from pixelwise.compare.record import Planned
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.inputs import Data
from pixelwise.train.network import build_network
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is measured.

    Args:
        plan: Of a run with nothing inserted.
        arms: But for those that depend on measured times.
    """

    plan: TrainingPlan
    arms: tuple[Arm, ...]

    @property
    def recipe(self) -> TrainSettings:
        """What all runs have in common, with what the machine and the data decide."""
        return self.plan.settings

    @property
    def data(self) -> Data:
        """The data set."""
        return self.plan.data

    def network(self, arm: Arm) -> Segmenter:
        """An arm's network as a run begins with it."""
        recipe = dataclasses.replace(self.recipe, insert=arm.plan)
        return build_network(recipe, self.data, None).model


def prepared(
    settings: CompareSettings,
    watcher: Watcher,
    warn: Callable[[str], None],
    look: Callable[[str], None] | None,
) -> Prepared:
    """Data, host and arms, checked: what no run could be made with is raised here."""
    reading = partial(watcher.busy, "reading masks")
    plan = make_plan(settings.recipe(), watcher.say, reading, look=look)
    found = arms(plan.model, settings.mechanisms, settings.places, plan.stream.crop)
    for arm in found:
        if arm.apart > TOLERANCE:
            warn(
                f"{arm.name}: its parameters or operations are {arm.apart:.0%} from those of"
                f" {arm.control_of}; no plain convolutions come nearer"
            )
    return Prepared(plan, tuple(found))
