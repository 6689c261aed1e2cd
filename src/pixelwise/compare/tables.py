"""A comparison's numbers as tables: `verdicts.csv`, `scores.csv`, and text for a terminal.

Numbers are as in metrics.json: shares from 0 to 1. Differences are gains: positive where the
mechanism is better, of errors too. A cell is empty where there is no number: an interval from one
seed, a score of a class that no mask has.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pixelwise.compare import words
from pixelwise.compare.arms import NONE
from pixelwise.compare.costs import Costs
from pixelwise.compare.judging import reach
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.verdicts import Against, Verdict
from pixelwise.evaluating.comparing import aligned
from pixelwise.language import current, mark, translate
from pixelwise.metrics import Kind
from pixelwise.tasks.class_results import csv_table

LEGEND = mark(
    "± is half of the 95 % interval over seeds; * clear, over pictures and corrected as well"
)
COSTS = ("parameters", "operations", "step_ms", "inference_ms", "peak_mb")
AGAINST = (
    "mean", "gain", "low", "high", "pictures_low", "pictures_high", "p", "p_corrected", "seeds",
    "seeds_needed",
)  # fmt: skip
"""Columns of a comparison, behind the name of the other arm."""
OTHERS = ("none", "control", "longer")


def verdict_table(verdicts: Sequence[Verdict], costs: Mapping[str, Costs]) -> bytes:
    """`verdicts.csv`: a row for each mechanism.

    Args:
        verdicts: Of all mechanisms.
        costs: By the arm's name.
    """
    head = ["mechanism", "verdict", "score", "mean", "seeds", "runs_without_score"]
    for other in OTHERS:
        head += [f"{other}_{column}" for column in AGAINST]
    head += ["longer_arm", "p", "p_corrected", *COSTS, "slower", "sentence", "notes"]
    rows = []
    for one in verdicts:
        row: list[Any] = [one.arm, str(one.word), one.kind.name, _number(one.mean)]
        row += [len(one.seeds), one.missing]
        for against in (one.none, one.control, one.longer):
            row += _cells(against)
        row += ["" if one.longer is None else one.longer.arm, one.raw, one.p]
        cost = costs.get(one.arm)
        row += [None if cost is None else getattr(cost, name) for name in COSTS]
        sentence = f"{one.arm}: {words.sentence(one)}"  # spreadsheets compute what begins with +
        row += [one.slower, sentence, "; ".join(words.notes(one))]
        rows.append(row)
    return csv_table(head, rows)


def score_table(outcomes: Sequence[Outcome]) -> bytes:
    """`scores.csv`: a row for each run, of its last network."""
    kinds, sizes = kinds_of(outcomes)
    head = ["arm", "seed", "steps", "seconds", "lr", *(kind.name for kind in kinds)]
    head += [f"size_{kind.name}" for kind in sizes]
    rows = []
    for one in outcomes:
        row: list[Any] = [one.arm, one.seed, one.steps, one.seconds, one.lr]
        row += [_number(float(value)) for value in one.scores.values]
        row += [] if one.sizes is None else [_number(float(value)) for value in one.sizes.values]
        rows.append(row)
    return csv_table(head, rows)


def text_table(verdicts: Sequence[Verdict], costs: Mapping[str, Costs]) -> str:
    """For a terminal: a line for each mechanism, then what is said of each.

    Args:
        verdicts: Of all mechanisms.
        costs: By the arm's name.
    """
    if not verdicts:
        return ""
    spoken = current()
    kind = verdicts[0].kind
    unit = f", {kind.told_in}" if kind.told_in else ""
    apart = f", {translate(kind.apart_in)}" if kind.apart_in else ""
    longer = any(one.longer is not None for one in verdicts)
    head = [
        "",
        f"{words.title(kind, spoken)}{unit}",
        translate("gain over none") + apart,
        translate("over control"),
    ]
    head += [translate("over none as long")] * longer
    rows = [[*head, translate("parameters"), translate("per picture"), translate("verdict")]]
    none = next((one.none for one in verdicts if one.none is not None), None)
    if none is not None and none.arm == NONE:
        rows.append([NONE, _score(kind, none.mean), *[""] * (len(rows[0]) - 2)])
    for one in verdicts:
        cells = [_gain(kind, against) for against in (one.none, one.control)]
        if longer:
            cells.append(_gain(kind, one.longer))
        slower = "" if one.slower is None else f"{100 * one.slower:+.0f} %"
        cells += [_added(one.arm, costs), slower, words.word(one.word, spoken)]
        rows.append([one.arm, _score(kind, one.mean), *cells])
    lines = [aligned(rows), translate(LEGEND)]
    lines += [f"{one.arm}: {words.sentence(one, spoken)}" for one in verdicts]
    lines += _remarks(verdicts)
    if (found := reach(verdicts)) is not None:
        lines.append(words.reach(found, spoken))
    return "\n".join(lines)


def _remarks(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What is to be known besides, once for all that it holds of."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        said = words.sentence(one, current())
        for note in words.notes(one, current()):
            if note not in said:
                found.setdefault(note, []).append(one.arm)
    for note, names in found.items():
        yield f"{', '.join(names)}: {note}"


def _score(kind: Kind, value: float) -> str:
    return kind.text(value) if math.isfinite(value) else "none"


def _gain(kind: Kind, against: Against | None) -> str:
    if against is None:
        return ""
    return words.figures(kind, against.effect) + (" *" if against.clear else "")


def _added(arm: str, costs: Mapping[str, Costs]) -> str:
    if arm not in costs or NONE not in costs:
        return ""
    return f"{costs[arm].parameters - costs[NONE].parameters:+,}"


def _cells(against: Against | None) -> list[float | int | None]:
    """Of a row, as `AGAINST` names them."""
    return [None] * len(AGAINST) if against is None else [*against_columns(against).values()]


def _number(value: float | int | None) -> float | int | None:
    """Without those that files cannot have."""
    return None if value is None or not math.isfinite(value) else value


def against_columns(one: Against) -> dict[str, float | int | None]:
    """Column of `AGAINST` -> number."""
    low, high = one.pictures or (None, None)
    values = (
        one.mean, one.effect.mean, one.effect.low, one.effect.high, low, high, one.effect.p, one.p,
        len(one.effect.differences), one.seeds,
    )  # fmt: skip
    return {name: _number(value) for name, value in zip(AGAINST, values, strict=True)}


def kinds_of(outcomes: Sequence[Outcome]) -> tuple[tuple[Kind, ...], tuple[Kind, ...]]:
    """Of scores and of sizes, which all runs have alike."""
    if not outcomes:
        return (), ()
    sizes = outcomes[0].sizes
    return outcomes[0].scores.kinds, () if sizes is None else sizes.kinds
