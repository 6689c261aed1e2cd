"""Comparisons that were never trained, for tests of what is told of them."""

import numpy as np

from pixelwise.compare.arms import Arm
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import details
from pixelwise.compare.judging import judge
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.compare.page.compared import Compared
from pixelwise.metrics import Kind

CLASSES = (Kind("miou", "mean IoU"), *(Kind(f"iou_{n}", n) for n in ("road", "<b>&", "树木")))
POINTS = (Kind("mean_error", "mean error", False, False, "px"),)
SIZES = (Kind("small", "small"), Kind("large", "large"))


def outcome(arm, seed, gain, *, kinds=CLASSES, sizes=SIZES, pictures=6, level=0.6):
    """A run whose main score is about `gain` above `level`; smaller where that is better."""
    rng = np.random.default_rng([seed, *map(ord, arm)])
    shared = np.random.default_rng(seed)

    def scores(of):
        sign = np.array([-1.0 if kind.larger is False else 1.0 for kind in of])
        values = level + sign * gain + 0.01 * shared.normal() + 0.003 * rng.normal(size=len(of))
        drawn = values + 0.004 * np.random.default_rng(1).normal(size=(100, len(of)))
        drawn += 0.001 * rng.normal(size=drawn.shape)
        return Scores(of, values, drawn, values + 0.05 * rng.normal(size=(pictures, len(of))))

    found = scores(kinds)
    main = float(found.values[0])
    curve = tuple((25 * i, main * (1 - 0.5 / i**2)) for i in range(1, 5))
    names = tuple(f"{i}.png" for i in range(pictures))
    return Outcome(
        arm, seed, found, scores(sizes) if sizes else None, names, curve, 100, 60.0, 0.01
    )


def comparison(
    gains, *, seeds=3, kinds=CLASSES, sizes=SIZES, controls=True, costs=True, longer=True, **more
):
    """A comparison of mechanisms that gain so much; half of it is the control's as well."""
    arms, outcomes = [Arm("none")], []
    run = {"kinds": kinds, "sizes": sizes}
    if longer:
        arms.append(Arm("none, 1.2 times as long", longer=1.2))
    for name in gains:
        arms.append(Arm(name, f"{name}@4", None, ("layer4",), 1000, 2000))
        if controls:
            arms.append(Arm(f"control of {name}", "conv@4", name, ("layer4",), 1000, 2000, 0.01))
    for arm in arms:
        gain = gains.get(arm.name, gains.get(arm.control_of, 0.0) / 4)
        outcomes += [outcome(arm.name, seed, gain, **run) for seed in range(seeds)]
    found = {}
    for i, arm in enumerate(arms):
        if costs and arm.longer == 1:
            exports = {"onnx": "" if i % 3 else "an operator <is> missing", "torch": ""}
            step = 100.0 if arm.name == "none" else 100 + 7.0 * (i % 5)
            found[arm.name] = Costs(
                11_200_000 + 10**4 * i, 10**9, step, step / 4, 300.0 + i, exports
            )
    settings = more.pop("settings", None) or CompareSettings(
        data="street", attention=",".join(["none", "control", *gains]), steps=100
    )
    return Compared(
        name="1",
        settings=settings,
        arms=arms,
        outcomes=outcomes,
        verdicts=judge(outcomes, arms, found),
        grids=details(outcomes, arms),
        costs=found,
        command="pixelwise compare --data street --steps 100",
        **more,
    )
