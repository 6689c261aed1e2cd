"""What a comparison's page is made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pixelwise.compare.arms import CONTROL, NONE, Arm
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import Grid
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.statistics import Effect, effect
from pixelwise.compare.verdicts import Verdict, Word
from pixelwise.metrics import Kind

ORDER = (Word.WORTH, Word.BETTER, Word.CAPACITY, Word.TIME, Word.NO_EVIDENCE, Word.WORSE)
"""Of verdicts on the page; mechanisms with the same one are in the order of their names."""
SHORT = 14
MANY = 16


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison whose runs are finished, or some of them.

    Args:
        name: Of the comparison.
        settings: What was asked for.
        arms: All of them.
        outcomes: Finished runs.
        verdicts: As `judge` gives them.
        grids: As `details` gives them.
        costs: By the arm's name; those that are not known may be missing.
        command: What repeats the comparison.
        differing: Pictures on which mechanisms disagree: file name, PNG, and what is to be seen in
            English and in Chinese.
        steps: Of each run; None: `seconds` say it.
        seconds: Of each run.
        tried: Steps of each try of the learning rate; 0: there were none.
        dropped: By successive halving: arm -> how many seeds it was trained with.
        failed: Run, such as "se, seed 1" -> why it failed, in English.
        facts: What else was the same for all runs: name -> value.
        machine: Where it was trained and measured: name -> value.
        warnings: What was warned of, in English.
    """

    name: str
    settings: CompareSettings
    arms: Sequence[Arm]
    outcomes: Sequence[Outcome]
    verdicts: Sequence[Verdict]
    grids: Sequence[Grid]
    costs: Mapping[str, Costs]
    command: str
    differing: Sequence[tuple[str, bytes, str, str]] = ()
    steps: int | None = None
    seconds: float | None = None
    tried: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def kind(self) -> Kind | None:
        """The main score; None: no run is finished."""
        return self.outcomes[0].scores.kinds[0] if self.outcomes else None

    @property
    def ordered(self) -> list[Verdict]:
        """By what is said, then by name: never by a score."""
        return sorted(self.verdicts, key=lambda one: (ORDER.index(one.word), one.arm.casefold()))

    def runs(self, arm: str) -> list[Outcome]:
        """Those of an arm, by seed."""
        return sorted((o for o in self.outcomes if o.arm == arm), key=lambda one: one.seed)

    def score(self, arm: str) -> Effect | None:
        """An arm's main score over its seeds, with its own interval; None: there is none."""
        found = [one.main for one in self.runs(arm) if math.isfinite(one.main)]
        return effect(found) if found else None

    def costs_of(self, arm: Arm) -> Costs | None:
        """An arm's costs; `none` that is trained longer costs what `none` costs."""
        return self.costs.get(NONE if arm.longer > 1 else arm.name)

    @property
    def controls(self) -> dict[str, Arm]:
        """Mechanism -> its control."""
        return {arm.control_of: arm for arm in self.arms if arm.control_of is not None}

    @property
    def references(self) -> list[Arm]:
        """What mechanisms are compared with."""
        judged = {one.arm for one in self.verdicts}
        return [arm for arm in self.arms if arm.name not in judged]

    def label(self, arm: str) -> str:
        """What an arm is called in charts: its name, or a number where that is long.

        Charts have no letters that their font may lack, and are the same in both languages.
        """
        names = [one.arm for one in self.verdicts]
        plain = arm.isascii() and arm.isprintable() and len(arm) <= SHORT
        if arm not in names or (plain and len(names) <= MANY):
            return arm.replace(f"{NONE}, ", f"{NONE} x").removesuffix(" times as long")
        return f"#{names.index(arm) + 1}"

    @property
    def numbered(self) -> dict[str, str]:
        """Number in charts -> the mechanism's name."""
        names = {self.label(one.arm): one.arm for one in self.verdicts}
        return {label: name for label, name in names.items() if label != name}


def is_control(arm: Arm) -> bool:
    """Whether an arm is some mechanism's control."""
    return arm.name.startswith(f"{CONTROL} of ") and arm.control_of is not None
