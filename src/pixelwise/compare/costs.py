"""What each arm of a comparison costs on this machine, at the size that is trained with."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Costs:
    """Of a whole network; None where it could not be measured.

    Args:
        parameters: All of them.
        operations: For one picture, attention counted.
        step_ms: Median time of a training step (forward, loss, backward, optimiser).
        inference_ms: Median time for one picture.
        peak_mb: Memory of tensors in a training step at most.
        exports: Format -> "" where it exports and proves equal, else why not in one line.
    """

    parameters: int
    operations: int
    step_ms: float | None
    inference_ms: float | None
    peak_mb: float | None
    exports: dict[str, str] = field(default_factory=dict)
