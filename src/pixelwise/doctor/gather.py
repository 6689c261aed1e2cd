"""Reads every file once, in several processes, and keeps facts about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from torch.utils.data import DataLoader, Dataset

from pixelwise.data.workers import begun, ending_workers, quiet_worker
from pixelwise.doctor.facts import Job, PairFacts, Reading
from pixelwise.doctor.fit import Fit, measure
from pixelwise.doctor.read_masks import mask_facts
from pixelwise.doctor.read_pictures import picture_facts
from pixelwise.errors import InputError

MANY = 40
"""Values of a mask that may be a picture, at least."""
FEW_JOBS = 48
"""Below, other processes take longer to start than they save."""


class Jobs(Dataset[PairFacts]):
    """The facts of each job; item i reads its files."""

    def __init__(self, jobs: Sequence[Job], reading: Reading) -> None:
        self.jobs, self.reading = jobs, reading

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: int) -> PairFacts:
        return facts_of(self.jobs[index], self.reading)


def gather(
    jobs: Sequence[Job],
    reading: Reading,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[PairFacts]:
    """The facts of all jobs, in their order.

    Raises:
        InputError: A process that reads was killed.
    """
    found = []
    try:
        with ending_workers():
            for facts in _read(jobs, reading, workers if len(jobs) >= FEW_JOBS else 0):
                found.append(facts)
                if progress is not None:
                    progress(len(found), len(jobs))
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            f"workers={workers}: a process that reads files was killed, perhaps for lack of memory;"
            " take fewer"
        ) from error
    return found


def _read(jobs: Sequence[Job], reading: Reading, workers: int) -> Iterator[PairFacts]:
    loader = DataLoader(
        Jobs(jobs, reading),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=quiet_worker,
    )
    yield from begun(loader)


def _as_it_is(facts: Any) -> Any:
    return facts


def facts_of(job: Job, reading: Reading) -> PairFacts:
    """Read the files of a job; nothing about them raises."""
    picture, grey = picture_facts(job.picture, reading) if job.picture else (None, None)
    mask, raw = mask_facts(job.mask, reading) if job.mask else (None, None)
    fit: Fit | None = None
    if grey is not None and raw is not None and mask is not None and not mask.container.lossy:
        fit = measure(grey, raw)
    alike = 0.0
    if grey is not None and raw is not None and mask is not None and mask.distinct >= MANY:
        alike = _likeness(grey, raw, coloured=mask.coloured)
    names = str(job.picture or ""), str(job.mask or "")
    return PairFacts(job.split, *names, picture, mask, fit, alike)


def _likeness(
    grey: UInt8[np.ndarray, "h w"], raw: Num[np.ndarray, "r c"], *, coloured: bool
) -> float:
    """Correlation of a picture with what is called its mask."""
    if raw.shape != grey.shape:
        return 0.0
    values = sum(raw >> shift & 255 for shift in (16, 8, 0)) if coloured else raw
    one, other = (np.asarray(v, np.float64).ravel() for v in (grey, values))
    if not (one.std() and other.std()):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
