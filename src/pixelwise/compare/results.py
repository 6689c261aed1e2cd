"""A comparison as `results.json`: all that was found, for machines."""

import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from pixelwise.compare import words
from pixelwise.compare.arms import Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import Grid
from pixelwise.compare.judging import reach
from pixelwise.compare.outcome import Outcome, Scores
from pixelwise.compare.tables import OTHERS, against_columns, kinds_of
from pixelwise.compare.verdicts import Verdict
from pixelwise.release import VERSION

FORMAT = 1
PACKAGES = ("torch", "numpy", "scipy")


def results(
    verdicts: Sequence[Verdict],
    grids: Sequence[Grid],
    outcomes: Sequence[Outcome],
    arms: Sequence[Arm],
    costs: Mapping[str, Costs],
    about: Mapping[str, Any],
) -> bytes:
    """`results.json`: everything that was found, for machines.

    Args:
        verdicts: Of all mechanisms.
        grids: By class and size.
        outcomes: Finished runs.
        arms: All of them.
        costs: By the arm's name.
        about: What else is to be known: settings, command, machine.
    """
    kinds, sizes = kinds_of(outcomes)
    found = reach(verdicts)
    told = {
        "format": FORMAT,
        "versions": {
            "pixelwise": VERSION,
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "about": dict(about),
        "scores": [asdict(kind) for kind in kinds],
        "sizes": [asdict(kind) for kind in sizes],
        "reach": None if found is None else asdict(found),
        "verdicts": [_verdict(one) for one in verdicts],
        "arms": [_arm(arm, outcomes, costs.get(arm.name)) for arm in arms],
        "details": [_grid(grid) for grid in grids],
        "runs": [_run(one) for one in outcomes],
    }
    text = json.dumps(_plain(told), ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _verdict(one: Verdict) -> dict[str, Any]:
    gain = one.control_gain
    told = {
        name: None if against is None else {"arm": against.arm, **against_columns(against)}
        for name, against in zip(OTHERS, (one.none, one.control, one.longer), strict=True)
    }
    return {
        "mechanism": one.arm,
        "verdict": str(one.word),
        "score": one.kind.name,
        "mean": one.mean,
        "seeds": one.seeds,
        "runs_without_score": one.missing,
        **told,
        "p": one.raw,
        "p_corrected": one.p,
        "control_gain": None if gain is None else asdict(gain),
        "slower": one.slower,
        "notes": one.notes,
        "sentence": {"en": words.sentence(one), "zh": words.sentence(one, "zh")},
    }


def _arm(arm: Arm, outcomes: Sequence[Outcome], costs: Costs | None) -> dict[str, Any]:
    values = [one.main for one in outcomes if one.arm == arm.name and math.isfinite(one.main)]
    return {
        **asdict(arm),
        "runs_with_score": len(values),
        "mean": statistics.fmean(values) if values else None,
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "costs": None if costs is None else asdict(costs),
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "part": grid.part,
        "against": grid.against,
        "corrected": "within a row (Holm), not for the number of mechanisms",
        "columns": [kind.name for kind in grid.kinds],
        "rows": {
            name: [
                None
                if one is None
                else {
                    "mean": one.mean,
                    "gain": one.effect.mean,
                    "low": one.effect.low,
                    "high": one.effect.high,
                    "pictures": one.pictures,
                    "p": one.effect.p,
                    "p_corrected": one.p,
                    "clear": one.clear,
                }
                for one in row
            ]
            for name, row in grid.rows.items()
        },
    }


def _run(one: Outcome) -> dict[str, Any]:
    def told(scores: Scores | None) -> dict[str, float] | None:
        if scores is None:
            return None
        names = (kind.name for kind in scores.kinds)
        return dict(zip(names, map(float, scores.values), strict=True))

    return {
        "arm": one.arm,
        "seed": one.seed,
        "steps": one.steps,
        "seconds": one.seconds,
        "lr": one.lr,
        "pictures": len(one.pictures),
        "scores": told(one.scores),
        "sizes": told(one.sizes),
        "curve": one.curve,
    }


def _plain(value: Any) -> Any:
    """What JSON has: null for numbers that are none."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    return str(value)
