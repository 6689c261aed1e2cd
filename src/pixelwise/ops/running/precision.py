"""In which type statistics are taken, and where autocast is switched off.

The rule: the doors do it. The public function of an operation enters `full_precision` once, around
whatever form it takes; `plain`, `lean` and `kernel` never do, and a backward is entered once by
`backward.twice_differentiable`, since it runs when the door is long closed. A layer enters it for
arithmetic of its own alone, and not around a call of a door.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

HALF_TYPES = (torch.float16, torch.bfloat16)


def statistics_dtype(x: Tensor) -> torch.dtype:
    """The type for softmaxes, means and sums over pixels of `x`: float32 for half types."""
    return torch.float32 if x.dtype in HALF_TYPES else x.dtype


def in_own_type(x: Tensor) -> bool:
    """Whether all is computed in the type of `x`: it is no half type, and autocast is off."""
    return x.dtype not in HALF_TYPES and not _cast(x)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast switched off where it is on for the device of `x`."""
    return torch.autocast(x.device.type, enabled=False) if _cast(x) else nullcontext()


def _cast(x: Tensor) -> bool:
    """Whether autocast is on for the device of `x`."""
    kind = x.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
