"""Numbers of the page as text."""

import math

from pixelwise.compare import words
from pixelwise.compare.arms import Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.statistics import Effect
from pixelwise.metrics import Kind

CLEAR = "*"
"""Marks differences that are clear."""
UNKNOWN = "\N{EN DASH}"


def score_header(told: Compared, say: Speech) -> str:
    """The main score with its unit."""
    if told.kind is None:
        return say("score", "分数")
    unit = say.unit(told.kind.told_in)
    title = words.title(told.kind, say.language)
    return f"{title}{say(', ', '，')}{unit}" if unit else title


def score_text(told: Compared, arm: Arm) -> str:
    """An arm's mean main score with half its interval."""
    score = told.score(arm.name)
    if score is None or told.kind is None:
        return UNKNOWN
    if not math.isfinite(score.margin):
        return told.kind.text(score.mean)
    return words.figures(told.kind, score, sign=False)


def natural(kind: Kind, effect: Effect) -> Effect:
    """As the numbers differ: an error that is smaller is below 0."""
    if kind.larger is not False:
        return effect
    apart = tuple(-one for one in effect.differences)
    return Effect(apart, -effect.mean, -effect.high, -effect.low, effect.p)


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def count(value: int | None) -> str:
    """A large whole number in thousands or millions."""
    if value is None:
        return UNKNOWN
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return (
                f"{value / size:.3g} {letter}"
                if value < 999.5 * size
                else f"{value / size:,.0f} {letter}"
            )
    return str(value)


def exports(costs: Costs | None, say: Speech) -> str:
    """Formats that it exports to."""
    if costs is None or not costs.exports:
        return UNKNOWN
    found = [name for name, why in costs.exports.items() if not why]
    return say.listed(found) if found else say("no", "不可以")
