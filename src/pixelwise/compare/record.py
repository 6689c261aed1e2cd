"""A comparison's folder: what was asked, and what was planned, so that it can be gone on with."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.compare.arms import Arm
from pixelwise.compare.asked import ASKED, CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.errors import InputError, in_one_line
from pixelwise.pictures import write_bytes
from pixelwise.settings import as_plain
from pixelwise.train.saved import named_folder
from pixelwise.yaml_files import to_text

PLANNED = "plan.json"
TRIED_WITH = 10_000
"""The seed of tries, which none of the runs has that are compared."""


@dataclass(frozen=True)
class Planned:
    """What is trained, and for how long.

    Args:
        arms: All of them.
        steps: Of each run; None: `seconds` say it.
        seconds: Of each run; None: `steps` say it.
        tried: Length of each try of the learning rate as a share of that.
        lr: Peak learning rate of the recipe.
        evaluations: Of val during a run.
        size: Height and width of training crops.
        facts: What the report says of data, network and recipe.
        machine: Where it is made.
        warnings: What is to be thought about.
    """

    arms: tuple[Arm, ...]
    steps: int | None
    seconds: float | None
    tried: float
    lr: float
    evaluations: int
    size: tuple[int, int]
    facts: dict[str, str]
    machine: dict[str, str]
    warnings: tuple[str, ...] = ()

    def job(self, arm: Arm, seed: int, lr: float | None) -> Job:
        """The run of an arm with a seed."""
        length = self._length(arm.longer)
        return Job(arm, seed, *length, lr, f"seed_{seed}", self.evaluations)

    def tries(self, arm: Arm, factors: tuple[float, ...]) -> list[Job]:
        """The tries of an arm's learning rate."""
        length = self._length(arm.longer * self.tried)
        return [Job(arm, TRIED_WITH, *length, self.lr * one, f"lr_{one:g}") for one in factors]

    def _length(self, factor: float) -> tuple[int | None, float | None]:
        steps = None if self.steps is None else max(1, round(self.steps * factor))
        return steps, None if self.seconds is None else self.seconds * factor

    def line(self, settings: CompareSettings) -> str:
        """What is going to be done."""
        length = f"{self.steps} steps" if self.seconds is None else f"{self.seconds:.0f} s"
        tries = len(settings.factors())
        told = f"runs    {len(self.arms)} networks x {settings.seeds} seeds of {length} each"
        return told + (f", after {tries} tries of the learning rate" if tries else "")

    def save(self, folder: Path) -> None:
        """Write it."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        write_bytes(folder / PLANNED, text.encode())

    @classmethod
    def load(cls, folder: Path) -> "Planned | None":
        """Read it; None: nothing was planned yet.

        Raises:
            InputError: It is damaged.
        """
        file = folder / PLANNED
        if not file.is_file():
            return None
        try:
            told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            arms = tuple(Arm(**{**arm, "places": tuple(arm["places"])}) for arm in told.pop("arms"))
            size, warnings = tuple(told.pop("size")), tuple(told.pop("warnings"))
            return cls(arms=arms, size=size, warnings=warnings, **told)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file}: is damaged ({in_one_line(error, 120)}); remove it, and what is compared"
                " is planned again"
            ) from error


def new_folder(settings: CompareSettings) -> Path:
    """Make a comparison's folder, and write down what was asked.

    Raises:
        InputError: There is one of that name.
    """
    parent = Path(settings.runs) / "compare"
    folder = named_folder(parent, settings.name, ASKED, "pixelwise compare --resume")
    write_bytes(folder / ASKED, to_text(as_plain(settings)).encode())
    return folder
