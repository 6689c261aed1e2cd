"""What each arm of a comparison costs on this machine, at the size that is trained with."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pixelwise.pictures import write_bytes

FILE = "costs.json"


@dataclass(frozen=True)
class Costs:
    """Of a whole network.

    Args:
        parameters: All of them.
        operations: For one picture, attention counted.
        step_ms: Median time of a training step (forward, loss, backward, optimiser).
        inference_ms: Median time for one picture.
        peak_mb: Memory of tensors in a training step at most.
        why: Why it does not run here; empty: it does.
        exports: Format -> "" where it exports and proves equal, else why not in one line.
    """

    parameters: int
    operations: int
    step_ms: float | None
    inference_ms: float | None
    peak_mb: float | None
    exports: dict[str, str] = field(default_factory=dict)
    why: str = ""


def save(costs: Mapping[str, Costs], folder: Path) -> None:
    """Write them into a comparison's folder."""
    told = {name: asdict(one) for name, one in costs.items()}
    text = json.dumps(told, indent=1, ensure_ascii=False)
    write_bytes(folder / FILE, text.encode())


def load(folder: Path) -> dict[str, Costs] | None:
    """What `save` wrote; None: nothing, or not what it wrote, so that it is measured again."""
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {name: Costs(**one) for name, one in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
