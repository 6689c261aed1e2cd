"""What a comparison trains, and for how long, from what it costs on this machine."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from pixelwise.benchmarks.machine import about
from pixelwise.checks import parse_duration
from pixelwise.compare.arms import NONE, Arm, arms, checked_layers, is_mechanism, longer
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.budget import longer_factors, shortened, steps_within
from pixelwise.compare.controls import TOLERANCE
from pixelwise.compare.costs import Costs
from pixelwise.compare.halving import rungs
from pixelwise.compare.record import Planned
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.inputs import Data
from pixelwise.train.network import build_network
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.settings import TrainSettings
from pixelwise.train.watching import Watcher

BUDGET = "2h"
CURVE = 4
"""Evaluations during a run, at most."""
MOST_BESIDE = 1 / 3
"""Share of a run that evaluations and its start may take."""
START = 4.0
"""Seconds in which a run opens its data and builds its network."""
FEW = 6
READ = 0.3
"""What reading and scoring a picture take, as a share of the answer."""


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is measured.

    Args:
        settings: What was asked for.
        plan: Of a run with nothing inserted.
    """

    settings: CompareSettings
    plan: TrainingPlan

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """All but those that depend on measured times; a plan that is saved has them."""
        asked, size = self.settings, self.plan.stream.crop
        return tuple(arms(self.plan.model, asked.mechanisms, asked.places, size))

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
    look: Callable[[str], None] | None,
) -> Prepared:
    """Data and host, checked; `arms` has to be asked for to check the layers as well."""
    checked_layers(settings.mechanisms)

    def say(line: str) -> None:
        if not line.startswith("run "):  # the length of runs is not known yet
            watcher.say(line)

    reading = partial(watcher.busy, "reading masks")
    plan = make_plan(settings.recipe(), say, reading, look=look)
    plan.data.source.split(settings.split)
    return Prepared(settings, plan)


def planned(
    settings: CompareSettings, begun: Prepared, costs: Mapping[str, Costs], spent: float
) -> Planned:
    """The arms and lengths of all runs.

    Args:
        settings: The comparison.
        begun: Data, recipe and host.
        costs: Of the arms.
        spent: Seconds of a budget that are gone already.

    Raises:
        InputError: The budget does not suffice.
    """
    found = [arm for arm in begun.arms if not costs[arm.name].why]
    if not any(map(is_mechanism, found)):
        why = next(one.why for one in costs.values() if one.why)
        raise InputError(f"attention={settings.attention!r}: none of them runs here; {why}")
    if settings.longer and settings.time_per_run is None:
        found += longer(found, longer_factors(found, costs))
    seconds = steps = None
    evaluations = CURVE
    if settings.time_per_run is not None:
        seconds = parse_duration(time_per_run=settings.time_per_run)
    elif settings.steps is not None:
        steps = settings.steps
    else:
        steps, evaluations = _fitting(settings, begun, found, costs, spent)
    length, tried = shortened(float(seconds or steps or 0), len(settings.factors()))
    return Planned(
        arms=tuple(found),
        steps=None if steps is None else max(1, round(length)),
        seconds=None if seconds is None else length,
        tried=tried,
        lr=begun.recipe.peak_lr,
        evaluations=evaluations,
        size=begun.plan.stream.crop,
        facts=_facts(settings, begun),
        machine={name: str(value) for name, value in about().items()},
        warnings=tuple(_warnings(settings, begun, costs)),
    )


def _fitting(
    settings: CompareSettings,
    begun: Prepared,
    found: list[Arm],
    costs: Mapping[str, Costs],
    spent: float,
) -> tuple[int, int]:
    """Steps of each run, and its evaluations: fewer where they would take much of it."""
    seconds = parse_duration(budget=settings.budget or BUDGET)
    base = costs[next(arm.name for arm in found)]
    times = [(costs.get(arm.name, base).step_ms or 0.0) * arm.longer / 1000 for arm in found]
    height, width = begun.plan.stream.crop
    rows, columns = begun.plan.val_inputs[0][0].shape[-2:]
    answer = (base.inference_ms or 0.0) / 1000 * (rows * columns) / (height * width)
    once = answer * (1 + READ) * len(begun.plan.val_inputs)
    each = max(0.0, seconds - spent) / settings.seeds / len(found)
    fit = [n for n in range(1, CURVE + 1) if START + once * (n + 1) <= MOST_BESIDE * each]
    evaluations = max(fit, default=1)
    beside = START + once * (evaluations + 1)
    steps = steps_within(seconds, settings.seeds, times, beside, spent)
    return steps, evaluations


def _warnings(settings: CompareSettings, begun: Prepared, costs: Mapping[str, Costs]) -> list[str]:
    found = [f"{name}: left out, {one.why}" for name, one in costs.items() if one.why]
    found += [
        f"{arm.name}: its parameters or operations are {arm.apart:.0%} from those of"
        f" {arm.control_of}; no plain convolutions come nearer"
        for arm in begun.arms
        if arm.apart > TOLERANCE
    ]
    if all(arm.name != NONE for arm in begun.arms):
        found.append("none was not trained, so gains over the network itself are not known")
    if settings.halving and settings.seeds < FEW:
        found.append(
            f"halving drops layers after {min(rungs(settings.seeds), default=0)} of"
            f" {settings.seeds} seeds, much by chance; {FEW} seeds or more are better"
        )
    return found


def _facts(settings: CompareSettings, begun: Prepared) -> dict[str, str]:
    plan, recipe, source = begun.plan, begun.recipe, begun.data.source
    height, width = plan.stream.crop
    return {
        "data": source.name,
        "pictures": f"{len(plan.data.train)} train, {len(source.split(settings.split))}"
        f" {settings.split}",
        "classes": source.contents,
        "network": f"{plan.model.config.arch}, {plan.model.config.backbone}",
        "task": plan.data.task.key,
        "places": settings.where,
        "recipe": f"{recipe.recipe}, {recipe.schedule}",
        "learning rate": f"{recipe.peak_lr:g}",
        "batch": str(recipe.per_step),
        "crop": f"{height}x{width}",
        "precision": recipe.precision,
        "device": plan.device,
    }
