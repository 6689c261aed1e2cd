"""What a comparison's page is made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import Grid
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.statistics import Effect, effect
from pixelwise.compare.verdicts import Verdict, Word
from pixelwise.metrics import Kind

ORDER = (Word.WORTH, Word.BETTER, Word.CAPACITY, Word.TIME, Word.NO_EVIDENCE, Word.WORSE)
"""Of verdicts on the page; mechanisms with the same one are in the order of their names."""
SHORT, SHORTER, LONG = 14, 8, 30
"""Letters of names that fit into a chart, into a full one, and above a chart of their own."""
MANY = 16
"""More mechanisms than this make a full chart."""


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

    @property
    def names(self) -> list[str]:
        """Of the mechanisms, in their order."""
        return sorted((one.arm for one in self.verdicts), key=str.casefold)

    @property
    def full(self) -> bool:
        """Whether a chart of all mechanisms is crowded."""
        return len(self.verdicts) > MANY

    def label(self, arm: str, letters: int | None = None) -> str:
        """What an arm is called in charts: its name, or a number where that is long.

        Charts have no letters that their font may lack, and are the same in both languages.

        Args:
            arm: Its name.
            letters: That have room; None: as many as in a chart of all.
        """
        if arm not in self.names:
            return arm.replace(f"{NONE}, ", f"{NONE} x").removesuffix(" times as long")
        letters = letters or (SHORTER if self.full else SHORT)
        if arm.isascii() and arm.isprintable() and len(arm) <= letters:
            return arm
        return f"#{self.names.index(arm) + 1}"

    def numbered(self, letters: int | None = None) -> dict[str, str]:
        """Number in charts -> the mechanism's name."""
        labels = {self.label(name, letters): name for name in self.names}
        return {label: name for label, name in labels.items() if label != name}

    @property
    def data(self) -> str:
        """What the data set is called."""
        path = Path(self.settings.data)
        name = path.parent.name if path.stem == "data" else path.stem
        return self.facts.get("data", name if path.suffix in (".yaml", ".yml") else path.name)

    @property
    def host(self) -> str:
        """What mechanisms are put into."""
        asked = self.settings
        return self.facts.get("network") or asked.start or f"{asked.model}, {asked.backbone}"
