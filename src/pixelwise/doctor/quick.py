"""The quick form, before a training: all names, and what some of the files hold.

Names and sizes of all files are looked at, copies in two splits are found among files of the same
size, and pairs of pictures and masks are read, evenly spread, as long as time allows. What needs
all masks, such as classes that a split lacks, is left to the training's own check and to
`pixelwise check-data`.
"""

import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pixelwise.data.drawn import is_drawn
from pixelwise.data.each import one_thread
from pixelwise.doctor.checks.files import check_files
from pixelwise.doctor.checks.names import check_names
from pixelwise.doctor.checks.placing import check_placing
from pixelwise.doctor.checks.same import check_same
from pixelwise.doctor.checks.sizes import check_bands, check_sizes
from pixelwise.doctor.checks.values import check_values
from pixelwise.doctor.examine import pairs_of, reading_of
from pixelwise.doctor.facts import Job, PairFacts
from pixelwise.doctor.finding import Finding, counted, in_order
from pixelwise.doctor.gather import facts_of
from pixelwise.doctor.pairing import Pairs
from pixelwise.doctor.seen import Seen
from pixelwise.doctor.subject import Subject, find_subject, is_other_kind
from pixelwise.language import message

SECONDS = 10.0
READ = 12
"""So many pairs of a split are read at most."""
TRAINED = ("train", "val")
OF_ALL = frozenset({"range-differs", "mask-same"})
"""What may be said only after all files were read."""


@dataclass(frozen=True)
class QuickLook:
    """What was found.

    Args:
        findings: The gravest first, without mere notes.
        read: Pairs that were read; `pairs`: that there are.
        pairs: In train and val.
        seconds: What it took.
    """

    findings: tuple[Finding, ...]
    read: int
    pairs: int
    seconds: float

    @property
    def may_start(self) -> bool:
        """Whether nothing stops a training."""
        return all(finding.severity != "stop" for finding in self.findings)


@one_thread()
def quick_look(
    spec: str, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
) -> QuickLook | None:
    """Look at a data set of masks for a few seconds.

    Args:
        spec: A data.yaml, a classes.csv, or a folder.
        seconds: No other file is opened after so many.
        clock: Gives the time.

    Returns:
        None for what is drawn, and for points and labels: their own check reads them whole.

    Raises:
        InputError: Nothing is there that could be looked at.
    """
    if is_drawn(spec) or is_other_kind(Path(spec)):
        return None
    begun = clock()
    subject = find_subject(spec)
    reading = reading_of(subject)
    pairs, refusals = pairs_of(subject, numbers=reading.numbers)
    jobs = [
        Job(split, picture, mask) for split, found in pairs.items() for picture, mask in found.pairs
    ]
    facts = {job: PairFacts(job.split, str(job.picture), str(job.mask), None, None) for job in jobs}
    read = 0
    for job in _spread(jobs):
        if read and clock() - begun > seconds / 2:
            break
        facts[job] = facts_of(job, reading)
        read += 1
    seen = Seen(subject, pairs, {}, [*facts.values()], reading)
    found = [
        *subject.findings,
        *refusals,
        *check_names(seen),
        *check_files(seen),
        *(finding for finding in check_same(seen) if finding.key not in OF_ALL),
        *check_values(seen),
        *check_sizes(seen),
        *(finding for finding in check_bands(seen) if finding.key not in OF_ALL),
        *map(_suspected, check_placing(seen)),
        *_leaks(subject, pairs, lambda: clock() - begun > seconds),
    ]
    told = [finding for finding in found if finding.severity != "note"]
    total = sum(job.split in TRAINED for job in jobs)
    return QuickLook(tuple(in_order(told)), read, total, clock() - begun)


def _spread(jobs: list[Job]) -> Iterator[Job]:
    """Some jobs of each split that is trained with, the splits in turn."""
    of = {split: [job for job in jobs if job.split == split] for split in TRAINED}
    chosen = {
        split: [mine[i * len(mine) // count] for i in range(count)]
        for split, mine in of.items()
        if (count := min(READ, len(mine)))
    }
    for i in range(READ):
        yield from (mine[i] for mine in chosen.values() if i < len(mine))


def _suspected(finding: Finding) -> Finding:
    """A few pictures are too few to stop for what is known by statistics alone."""
    return replace(finding, severity="warn") if finding.severity == "stop" else finding


def _leaks(
    subject: Subject, pairs: Mapping[str, Pairs], late: Callable[[], bool]
) -> Iterator[Finding]:
    """Pictures that are, byte for byte, in several splits."""
    of_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for split, found in pairs.items():
        for picture, _ in found.pairs:
            with contextlib.suppress(OSError):
                of_size[picture.stat().st_size].append((split, picture))
    same: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for group in filter(_torn, of_size.values()):
        for split, picture in group:
            if not late():
                with contextlib.suppress(OSError), picture.open("rb") as content:
                    digest = hashlib.file_digest(content, "blake2b").hexdigest()
                    same[digest].append((split, picture))
    twice = [*filter(_torn, same.values())]
    if not twice:
        return
    splits = sorted({split for group in twice for split, _ in group})
    yield Finding(
        "warn",  # it can be trained; what it is scored by is worth nothing
        "leak",
        message(
            "{counted} byte for byte in several splits ({splits}): the score would"
            " be of pictures that were learnt",
            counted=counted(len(twice), "picture is"),
            splits=", ".join(splits),
        ),
        message("keep each in one split only"),
        tuple(subject.told(picture) for group in twice for _, picture in group),
    )


def _torn(group: Sequence[tuple[str, Path]]) -> bool:
    """Whether files of several splits are in it."""
    return len({split for split, _ in group}) > 1
