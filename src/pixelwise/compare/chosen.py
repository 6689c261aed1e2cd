"""Which pictures the networks of a comparison disagree on most, by their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.compare import words
from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.outcome import Outcome
from pixelwise.metrics import Kind

SHOWN = 6
"""Pictures at most."""
ANSWERS = 3
"""Networks whose answers are drawn: the one without attention, and those that differ most."""


@dataclass(frozen=True)
class Chosen:
    """The pictures with the largest spread of their main score over arms.

    Args:
        kind: The main score.
        names: Of all pictures.
        scores: Arm -> its main score of every picture, over its seeds.
        first: Arm -> the seed whose answers are drawn.
        shown: Row of a picture -> the arms whose answers are drawn, largest spread first.
    """

    kind: Kind
    names: tuple[str, ...]
    scores: Mapping[str, Float64[ndarray, " pictures"]]
    first: Mapping[str, int]
    shown: Mapping[int, list[str]]

    @classmethod
    def of(cls, arms: Sequence[Arm], outcomes: Sequence[Outcome]) -> "Chosen":
        """Choose; runs without a main score are left out."""
        usual = {arm.name for arm in arms if arm.longer == 1}
        runs: dict[str, dict[int, Outcome]] = {}
        for one in outcomes:
            if one.arm in usual and np.isfinite(one.main) and len(one.scores.each):
                runs.setdefault(one.arm, {})[one.seed] = one
        if len(runs) < 2:
            return cls(Kind("", ""), (), {}, {}, {})
        common = set.intersection(*({*seeds} for seeds in runs.values()))
        scores, first = {}, {}
        for arm, by_seed in runs.items():
            seeds = sorted(common or by_seed)
            scores[arm] = np.mean([by_seed[seed].scores.each[:, 0] for seed in seeds], axis=0)
            first[arm] = seeds[0]
        one = outcomes[0]
        every = np.stack(list(scores.values()))
        spread = np.where(np.isfinite(every).all(axis=0), np.ptp(every, axis=0), 0.0)
        rows = [int(row) for row in np.argsort(-spread, kind="stable")[:SHOWN] if spread[row] > 0]
        shown = {row: _extreme(scores, row) for row in rows}
        return cls(one.scores.kinds[0], one.pictures, scores, first, shown)

    def told(self, row: int) -> tuple[str, str]:
        """What is to be seen of a picture, in English and in Chinese."""
        kind, unit = self.kind, f" {self.kind.told_in}".rstrip()
        values = {arm: kind.text(float(self.scores[arm][row])) + unit for arm in self.shown[row]}
        seeds = ", ".join(str(s) for s in sorted({self.first[arm] for arm in self.shown[row]}))
        english = ", ".join(f"{arm} {value}" for arm, value in values.items())
        chinese = "、".join(f"{words.arm(arm, 'zh')} {value}" for arm, value in values.items())
        return (
            f"{self.names[row]}: {kind.title} of this picture, mean over seeds: {english}. Drawn"
            f" are the answers of seed {seeds}.",
            f"{self.names[row]}：此图的{words.title(kind, 'zh')}（各随机种子的平均）："
            f"{chinese}。所绘为随机种子 {seeds} 的预测。",
        )


def _extreme(scores: Mapping[str, Float64[ndarray, " pictures"]], row: int) -> list[str]:
    """The arm without attention, and those with the largest and the smallest score."""
    order = sorted(scores, key=lambda arm: float(scores[arm][row]))
    first = [NONE] if NONE in scores else []
    return list(dict.fromkeys([*first, order[-1], order[0], *order[-2::-1]]))[:ANSWERS]
