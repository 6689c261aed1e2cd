"""A run that needs more memory than there is ends with one line, if possible before step one."""

import contextlib
import math
from contextlib import AbstractContextManager
from pathlib import Path

from pixelwise.cost import predict
from pixelwise.errors import InputError
from pixelwise.shortage import memory_here, told_as_input
from pixelwise.train import checkpoint
from pixelwise.train.plan import TrainingPlan

LARGE_BATCH = 200
"""A batch of more than this part of the memory is looked at before the first step."""


def refuse_hopeless(plan: TrainingPlan) -> None:
    """Raise where a step needs more than the machine has: Linux would kill the process."""
    here = memory_here()
    batch = 4 * math.prod(_batch_shape(plan))
    if here is None or plan.device != "cpu" or batch < here / LARGE_BATCH:
        return
    with contextlib.suppress(InputError):  # of a shape that no tensor can have
        batch += _step_needs(plan)
    if batch > here:
        raise MemoryError


def enough_memory(plan: TrainingPlan, run: Path) -> AbstractContextManager[None]:
    """Tell a shortage in one line, with what a step needs and the newest checkpoint."""
    settings = plan.settings
    height, width = plan.stream.crop

    def kept() -> str:
        newest = checkpoint.newest(run)
        then = f", then: pixelwise train --resume {run}"
        return f" in {run}/config.yaml{then} (goes on from {newest})" if newest else ""

    return told_as_input(
        f"batch_size={settings.per_batch}, crop={height}x{width}: lower one of them"
        " (--batch-size, --crop; accumulate keeps the batch's effect)",
        lambda: _step_needs(plan),
        kept,
    )


def _batch_shape(plan: TrainingPlan) -> tuple[int, int, int, int]:
    bands = plan.model.config.in_channels
    return (plan.settings.per_batch, bands, *plan.stream.crop)


def _step_needs(plan: TrainingPlan) -> int:
    return predict(plan.model, _batch_shape(plan), training=True, device=plan.device)
