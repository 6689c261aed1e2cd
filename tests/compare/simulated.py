"""Runs that were never trained: seeds that share what they make hard, and pictures likewise."""

from collections.abc import Mapping, Sequence

import numpy as np

from pixelwise.compare.arms import Arm
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.metrics import Kind

MIOU = Kind("miou", "mean IoU")


def arms(
    *mechanisms: str, none: bool = True, control: bool = True, longer: float = 1.0
) -> list[Arm]:
    """None, each mechanism and its control, and none trained longer."""
    found = [Arm("none")] if none else []
    for name in mechanisms:
        found.append(Arm(name, f"{name}@4"))
        if control:
            found.append(Arm(f"control of {name}", "conv@4", name))
    if longer > 1:
        found.append(Arm(f"none, {longer:g} times as long", longer=longer))
    return found


def simulate(
    rng: np.random.Generator,
    arms: Sequence[Arm],
    effects: Mapping[str, float],
    *,
    seeds: int = 3,
    pictures: int = 60,
    draws: int = 200,
    spread: float = 0.01,
    noise: float = 0.05,
    varied: float = 0.0,
    kind: Kind = MIOU,
    classes: Sequence[str] = (),
) -> list[Outcome]:
    """Outcomes of all arms.

    A picture's score is 0.6 + the seed's part (shared by arms) + the picture's difficulty (shared
    by all) + the arm's effect + the run's own part (standard deviation `spread` / sqrt 2, so that
    of a difference is `spread`) + noise. Scores of classes have noise of their own.

    Args:
        rng: What is drawn from.
        arms: Arms.
        effects: Arm -> its true effect; 0 for others. Added to what is told, whatever the kind.
        seeds: Runs of each arm.
        pictures: Pictures.
        draws: Of the bootstrap.
        spread: Of a difference over seeds.
        noise: Of one picture in one run.
        varied: Of a mechanism's effect over pictures, the same for all seeds.
        kind: Main score.
        classes: Further scores.
    """
    weights = np.random.default_rng(0).multinomial(pictures, [1 / pictures] * pictures, draws)
    of_seed = rng.normal(0, 0.03, seeds)
    of_picture = rng.normal(0, 0.1, (pictures, 1))
    k = 1 + len(classes)
    kinds = (kind, *(Kind(f"iou_{name}", name) for name in classes))
    names = tuple(f"{i}.png" for i in range(pictures))
    found = []
    for arm in arms:
        own_pictures = np.zeros((pictures, 1))
        if varied and arm.plan is not None:
            own_pictures = rng.normal(0, varied, (pictures, 1))
        for seed in range(seeds):
            own = rng.normal(0, spread / np.sqrt(2), k)
            base = 0.6 + of_seed[seed] + effects.get(arm.name, 0.0) + own
            each = base + of_picture + own_pictures + rng.normal(0, noise, (pictures, k))
            scores = Scores(kinds, each.mean(axis=0), weights @ each / pictures, each)
            found.append(
                Outcome(arm.name, seed, scores, None, names, (), round(100 * arm.longer), 1.0, 0.1)
            )
    return found
