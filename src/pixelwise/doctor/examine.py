"""Looks at a whole data set: reads everything once, then applies all checks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.doctor.checks.classes import ClassTable, check_classes, class_table
from pixelwise.doctor.checks.copies import check_copies
from pixelwise.doctor.checks.files import check_files
from pixelwise.doctor.checks.names import check_names
from pixelwise.doctor.checks.placing import check_placing
from pixelwise.doctor.checks.sizes import check_bands, check_sizes
from pixelwise.doctor.checks.values import check_values
from pixelwise.doctor.facts import Job, Reading
from pixelwise.doctor.finding import Finding, in_order
from pixelwise.doctor.gather import gather
from pixelwise.doctor.pairing import Pairs, listed, pair_up
from pixelwise.doctor.seen import Seen
from pixelwise.doctor.subject import Subject, find_subject
from pixelwise.errors import InputError

Progress = Callable[[int, int], None]
CHECKS = (
    check_names, check_files, check_values, check_sizes, check_bands, check_placing, check_copies,
    check_classes,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Examination:
    """What was found.

    Args:
        seen: All facts.
        findings: The gravest first.
        table: Numbers of each class; None: they are not known.
    """

    seen: Seen
    findings: tuple[Finding, ...]
    table: ClassTable | None

    @property
    def may_start(self) -> bool:
        """Whether nothing stops a training."""
        return all(finding.severity != "stop" for finding in self.findings)


def examine(
    spec: str | Path | Subject, *, workers: int = 0, progress: Progress | None = None
) -> Examination:
    """Look at a data set of masks, at what is wrong with it too.

    Args:
        spec: A data.yaml, a classes.csv, a folder, or what was found there.
        workers: Processes that read; 0: this one.
        progress: Called with (files read, files in all).

    Raises:
        InputError: Nothing is there that could be looked at.
    """
    subject = spec if isinstance(spec, Subject) else find_subject(spec)
    config = subject.config
    numbers = config is not None and bool(config.quantities)
    reading = Reading(
        values=None if config is None or numbers else config.values,
        classes=0 if config is None or numbers else len(config.classes),
        ignore_index=255 if config is None else config.classes.ignore_index,
        nodata=() if config is None else config.nodata,
        max_megapixels=MAX_MEGAPIXELS if config is None else config.max_megapixels,
        numbers=numbers,
    )
    pairs, listings = {}, {}
    for split, (pictures, masks) in subject.folders.items():
        pairs[split] = pair_up(pictures, masks, subject.names, numbers=numbers)
        for folder in {pictures, masks} - {None}:
            listings[str(folder)] = listed(Path(str(folder)))
    facts = gather([*_jobs(pairs)], reading, workers, progress)
    seen = Seen(subject, pairs, listings, facts, reading)
    findings = [*subject.findings, *(f for check in CHECKS for f in check(seen))]
    if not findings or all(f.severity != "stop" for f in findings):
        findings += _own_check(seen)
    return Examination(seen, tuple(in_order(findings)), class_table(seen))


def _jobs(pairs: dict[str, Pairs]) -> Iterator[Job]:
    for split, found in pairs.items():
        for picture, mask in found.pairs:
            yield Job(split, picture, mask)
        for picture in (*found.lacking,):
            yield Job(split, picture, None)
        for mask in found.orphans:
            yield Job(split, None, mask)


def _own_check(seen: Seen) -> list[Finding]:
    """What opening the set says, where nothing else was found: the last word is the library's."""
    from pixelwise.data.opening import open_data

    subject = seen.subject
    if subject.file is None:
        return []
    try:
        source = open_data(subject.file)
        for split in source.splits:
            source.split(split)
            if seen.reading.numbers:
                source.split(split).check()
    except InputError as error:
        what, _, remedy = str(error).rpartition("; ")
        return [Finding("stop", "refused", what or str(error), remedy or "correct it")]
    return []
