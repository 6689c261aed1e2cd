"""How this process was started: alone, or as one of several that train together.

Several come by torchrun, by srun (SLURM), or by hand with RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT. A stray WORLD_SIZE, or the shell of a SLURM job, means nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pixelwise.errors import InputError

BY_HAND = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Start:
    """A place among the processes of a run.

    Args:
        rank: Number of this process, from 0.
        count: Processes.
        local_rank: Its number on this machine.
        local_count: Processes on this machine.
        slurm: Whether srun started them.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    slurm: bool = False


def how_started(environment: Mapping[str, str] = os.environ) -> Start:
    """What the launcher's variables say.

    Raises:
        InputError: They contradict each other.
    """
    if all(name in environment for name in BY_HAND):
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, count, local_rank, local = (_number(environment, name) for name in names)
        if count is None or count == 1:
            return Start()
        if local is None:
            local = count if local_rank is None else 1 + local_rank
        start = Start(rank or 0, count, (rank or 0) if local_rank is None else local_rank, local)
        remedy = "start them by torchrun, or remove these variables"
    elif (_number(environment, "SLURM_STEP_NUM_TASKS") or 1) > 1:
        rank, count, local_rank = (
            _number(environment, name)
            for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        )
        machines = _number(environment, "SLURM_STEP_NUM_NODES") or 1
        assert count is not None
        start = Start(rank or 0, count, local_rank or 0, count // machines, slurm=True)
        if count % machines:
            raise InputError(
                f"SLURM_STEP_NUM_TASKS={count}: must be as many on each of {machines} machines;"
                " start them with --ntasks-per-node"
            )
        remedy = "start them by srun"
    else:
        return Start()
    if not (0 <= start.rank < start.count and 0 <= start.local_rank < start.local_count):
        raise InputError(
            f"RANK={start.rank}, WORLD_SIZE={start.count}, LOCAL_RANK={start.local_rank}: must be"
            f" numbers of processes from 0; {remedy}"
        )
    return start


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{name}={text!r}: must be a whole number; start by torchrun or srun, or remove it"
        ) from None
