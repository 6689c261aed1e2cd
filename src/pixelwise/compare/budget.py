"""How long the runs of a comparison are, by the time that there is.

With S seconds of wall time, n seeds, and arms a whose step takes t_a, each run of k steps takes

    k t_a + e,     e = what evaluations and the start of a run take

so that k = (S - n e |arms|) / (n sum t_a). Every arm gets the same k; `none` is trained once more
for the time that slower arms take, by factors that several arms share. Tries of the learning rate
are a part of the k steps of an arm.
"""

import math
from collections.abc import Mapping, Sequence

from pixelwise.compare.arms import NONE, Arm, is_mechanism
from pixelwise.compare.costs import Costs
from pixelwise.errors import InputError

FACTORS = (1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""How many times as long `none` is trained; above, whole numbers."""
ALIKE = 1.05
"""Arms whose steps take less than so many times as long as those of `none` need no longer one."""
LEAST = 20
"""Steps, below which nothing is learnt that could be compared."""
TRIED = 0.1
"""Share of its steps that an arm has for each try of its learning rate."""


def longer_factors(arms: Sequence[Arm], costs: Mapping[str, Costs]) -> dict[str, float]:
    """Mechanism -> how many times as long `none` is to be trained; those alike are left out."""
    base = costs[NONE].step_ms if NONE in costs else None
    found = {}
    for arm in arms:
        own = costs[arm.name].step_ms if arm.name in costs else None
        if is_mechanism(arm) and base and own and own / base >= ALIKE:
            least = own / base
            found[arm.name] = next((f for f in FACTORS if f >= least), float(math.ceil(least)))
    return found


def steps_within(
    seconds: float, seeds: int, step_seconds: Sequence[float], beside: float, spent: float = 0.0
) -> int:
    """Steps of each run.

    Args:
        seconds: Of all runs together, and of what was done before.
        seeds: Runs of each arm.
        step_seconds: Of each arm, times how many times as long it is trained.
        beside: Seconds of a run that are no steps.
        spent: Seconds that are gone.

    Raises:
        InputError: They do not suffice.
    """
    left = seconds - spent - seeds * beside * len(step_seconds)
    steps = math.floor(left / (seeds * sum(step_seconds)))
    if steps < LEAST:
        needed = spent + seeds * (LEAST * sum(step_seconds) + beside * len(step_seconds))
        raise InputError(
            f"budget={seconds:.0f}s: leaves {max(0, steps)} steps for each of"
            f" {seeds * len(step_seconds)} runs, too few to learn anything; give at least"
            f" {math.ceil(needed / 60)}m (ten times as much is better), fewer layers or seeds, a"
            " smaller --crop, or a smaller --backbone, such as mobilenetv3_small_050"
        )
    return steps


def shortened(steps: float, tries: int) -> tuple[float, float]:
    """(length of the runs, share of it for each try) where tries are a part of the length."""
    if not tries:
        return steps, 0.0
    left = 1 - min(0.5, TRIED * tries)
    return steps * left, (1 - left) / tries / left
