"""One run of a comparison, and where it is kept."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pixelwise.compare.arms import Arm

RUNS = "runs"
LONGEST = 60
"""Letters of a folder's name."""


@dataclass(frozen=True)
class Job:
    """A run that is to be made.

    Args:
        arm: What is trained.
        seed: Of weights, order of pictures and their variation.
        steps: Its length; None: `seconds` say it.
        seconds: Wall time of its training; None: `steps` say it.
        lr: Peak learning rate; None: the recipe's.
        name: Its folder's, such as seed_0, or lr_0.3 of a try.
        evaluations: Of val meanwhile, for the learning curve; the last is at the end.
    """

    arm: Arm
    seed: int
    steps: int | None
    seconds: float | None
    lr: float | None
    name: str
    evaluations: int = 1

    def folder(self, comparison: Path) -> Path:
        """Where it is kept in a comparison's folder."""
        return comparison / RUNS / slug(self.arm.name) / self.name


def slug(name: str) -> str:
    """An arm's name as a folder's: options have marks that files cannot have everywhere."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("_.")
    if plain == name.replace(" ", "_") and len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}_{sha256(name.encode()).hexdigest()[:8]}"
