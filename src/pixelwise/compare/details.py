"""Where a mechanism helps: differences class by class, and by the size of objects.

These are explorations, not verdicts. Within one mechanism, one table and one other arm, p is
corrected for the number of columns by Holm's method; it is not corrected for the number of
mechanisms. A class may stand out by chance in one of twenty rows even where nothing differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelwise.compare.arms import NONE, Arm, is_mechanism
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.pairing import Paired, Part, Runs
from pixelwise.compare.statistics import LEVEL, Effect, holm
from pixelwise.metrics import Interval, Kind


@dataclass(frozen=True)
class Detail:
    """A cell: a mechanism's score of one kind minus that of another arm.

    Args:
        effect: Over seeds; positive where the mechanism is better (of a kind that is neither, where
            its number is larger).
        pictures: As of `Against`.
        p: Corrected for the columns of the row (Holm).
        mean: The other arm's, over the seeds of both.
    """

    effect: Effect
    pictures: Interval
    p: float
    mean: float

    @property
    def clear(self) -> bool:
        """Whether neither interval holds 0, the other columns considered; to be marked."""
        if self.p >= 1 - LEVEL:
            return False
        if self.pictures is None:
            return True
        low, high = self.pictures
        return low > 0 if self.effect.mean > 0 else high < 0


@dataclass(frozen=True)
class Grid:
    """A heat map: a row for each mechanism, a column for each kind.

    Args:
        part: "scores" (such as each class's IoU) or "sizes" (of objects).
        against: "none" or "control": what the rows are compared with.
        kinds: Of the columns.
        rows: Mechanism -> a cell for each column; None where a score is missing (a class that no
            mask has, an arm that was not trained).
    """

    part: Part
    against: str
    kinds: tuple[Kind, ...]
    rows: dict[str, tuple[Detail | None, ...]]


def details(outcomes: Sequence[Outcome], arms: Sequence[Arm]) -> list[Grid]:
    """Up to four grids, those without any cell left out.

    Args:
        outcomes: Finished runs, in any order.
        arms: Of the comparison.

    Raises:
        InputError: The runs do not belong together.
    """
    runs = Runs.of(outcomes, arms)
    mechanisms = [arm.name for arm in arms if is_mechanism(arm)]
    controls = {arm.control_of: arm.name for arm in arms if arm.control_of is not None}
    grids = []
    parts: tuple[tuple[Part, int], ...] = (("scores", 1), ("sizes", 0))
    for part, begin in parts:
        kinds = runs.kinds(part)[begin:]
        for against in ("none", "control"):
            rows: dict[str, tuple[Detail | None, ...]] = {}
            for name in mechanisms:
                other = NONE if against == "none" else controls.get(name)
                if other is None:
                    rows[name] = (None,) * len(kinds)
                    continue
                cells = [runs.pair(name, other, part, begin + i) for i in range(len(kinds))]
                rows[name] = _row(cells)
            if any(cell is not None for row in rows.values() for cell in row):
                grids.append(Grid(part, against, kinds, rows))
    return grids


def _row(cells: Sequence[Paired | None]) -> tuple[Detail | None, ...]:
    corrected = iter(holm([one.effect.p for one in cells if one is not None]))
    return tuple(
        None if one is None else Detail(one.effect, one.pictures, next(corrected), one.mean)
        for one in cells
    )
