"""Successive halving: where many layers are compared, the worse ones are dropped on the way.

After a third and after two thirds of the seeds the half of the mechanisms with the smaller mean is
trained no further, nor are their controls. Finished seeds stay paired. It is biased: who was
unlucky with the first seeds is dropped, and those that stay were ahead on the very seeds that they
are judged with. The report says so.

Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", 2016.
"""

import math
import statistics
from collections.abc import Sequence

from pixelwise.compare.arms import Arm, is_mechanism
from pixelwise.compare.outcome import Outcome


def rungs(seeds: int) -> set[int]:
    """After how many seeds mechanisms are dropped."""
    return {math.ceil(seeds / 3), math.ceil(2 * seeds / 3)} - {seeds}


def survivors(arms: Sequence[Arm], outcomes: Sequence[Outcome]) -> list[Arm]:
    """The arms that are trained further.

    Args:
        arms: Those that were trained so far.
        outcomes: Their finished runs.

    Returns:
        The better half of the mechanisms, rounded up, those without a score last; what else there
        is but for the controls of the others.
    """
    scores: dict[str, list[float]] = {}
    for one in outcomes:
        if math.isfinite(one.better):
            scores.setdefault(one.arm, []).append(one.better)
    mechanisms = [arm.name for arm in arms if is_mechanism(arm)]
    order = sorted(
        mechanisms,
        key=lambda name: statistics.fmean(scores[name]) if name in scores else -math.inf,
        reverse=True,
    )
    kept = {*order[: math.ceil(len(order) / 2)]}
    return [
        arm
        for arm in arms
        if (arm.name in kept if is_mechanism(arm) else arm.control_of in {None, *kept})
    ]
