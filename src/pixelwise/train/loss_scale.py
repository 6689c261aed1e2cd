"""The factor that keeps gradients in fp16 away from 0, and steps that are left out.

    s = 65536 at first; halved after a step whose gradient is not finite, which is left out;
    doubled after 2000 steps in a row that are finite

Source: Micikevicius et al., "Mixed Precision Training", 2017, https://arxiv.org/abs/1710.03740.
The numbers are those of torch.amp.GradScaler, which looks at each process's gradients alone.
"""

from dataclasses import dataclass

FIRST, LEAST, LARGEST = 2.0**16, 2.0**-14, 2.0**24
PATIENCE = 2000
TOLD = 10
"""So many steps left out in a row are told."""
HOPELESS = 50
"""So many end the run."""


@dataclass
class LossScale:
    """The factor now, and what led to it; part of a checkpoint."""

    factor: float = FIRST
    finite: int = 0
    """Steps in a row."""
    skipped: int = 0
    """Steps of the run that were left out."""
    in_a_row: int = 0

    def learnt(self) -> None:
        """A step was made."""
        self.in_a_row = 0
        self.finite += 1
        if self.finite == PATIENCE:
            self.factor, self.finite = min(2 * self.factor, LARGEST), 0

    def skip(self) -> None:
        """A step was left out."""
        self.factor, self.finite = max(self.factor / 2, LEAST), 0
        self.skipped += 1
        self.in_a_row += 1
