"""Looks at a whole data set: reads everything once, then applies all checks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pixelwise.data.annotations.folder import AnnotatedSource
from pixelwise.data.bitmaps import MAX_MEGAPIXELS
from pixelwise.data.drawn import is_drawn
from pixelwise.data.folder import FolderSource
from pixelwise.data.labels_folder import FolderLabelsSource
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.opening import open_data
from pixelwise.data.pairing import find_pairs
from pixelwise.data.rasters.pictures import RastersSource
from pixelwise.data.source import Source
from pixelwise.doctor.checks.classes import ClassTable, check_classes, class_table
from pixelwise.doctor.checks.copies import check_copies
from pixelwise.doctor.checks.files import check_files
from pixelwise.doctor.checks.measured import check_measured
from pixelwise.doctor.checks.names import check_names, check_splits
from pixelwise.doctor.checks.placing import check_placing
from pixelwise.doctor.checks.same import check_same
from pixelwise.doctor.checks.shuffled import check_shuffled
from pixelwise.doctor.checks.sizes import check_bands, check_sizes
from pixelwise.doctor.checks.values import check_values
from pixelwise.doctor.facts import Job, Reading
from pixelwise.doctor.finding import Finding, in_order
from pixelwise.doctor.gather import gather
from pixelwise.doctor.guessing import MASKS
from pixelwise.doctor.pairing import Pairs, listed, pair_up
from pixelwise.doctor.seen import Seen
from pixelwise.doctor.subject import Subject, find_subject, is_other_kind
from pixelwise.errors import InputError

Progress = Callable[[int, int], None]
CHECKS = (
    check_names, check_files, check_same, check_values, check_measured, check_sizes, check_bands,
    check_placing, check_shuffled, check_copies, check_classes,
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
    if not isinstance(spec, Subject) and (is_drawn(str(spec)) or is_other_kind(Path(spec))):
        return examine_source(str(spec), workers=workers, progress=progress)
    subject = spec if isinstance(spec, Subject) else find_subject(spec)
    reading = reading_of(subject)
    pairs, refusals = pairs_of(subject, numbers=reading.numbers)
    listings = {
        str(folder): listed(Path(str(folder)))
        for folders in subject.folders.values()
        for folder in {*folders} - {None}
    }
    facts = gather([*_jobs(pairs)], reading, workers, progress)
    seen = Seen(subject, pairs, listings, facts, reading)
    findings = [*subject.findings, *refusals, *(f for check in CHECKS for f in check(seen))]
    if not findings or all(f.severity != "stop" for f in findings):
        findings += _own_check(seen)
    return Examination(seen, tuple(in_order(findings)), class_table(seen))


def reading_of(subject: Subject) -> Reading:
    """How the files of a subject are read."""
    config = subject.config
    numbers = config is not None and bool(config.quantities)
    return Reading(
        values=None if config is None or numbers else config.values,
        classes=0 if config is None or numbers else len(config.classes),
        ignore_index=255 if config is None else config.classes.ignore_index,
        nodata=() if config is None else config.nodata,
        max_megapixels=MAX_MEGAPIXELS if config is None else config.max_megapixels,
        numbers=numbers,
    )


def pairs_of(subject: Subject, *, numbers: bool) -> tuple[dict[str, Pairs], list[Finding]]:
    """Which masks belong to which pictures, by split; and what is refused."""
    config = subject.config
    pairs: dict[str, Pairs] = {}
    refusals: list[Finding] = []
    for split, (pictures, masks) in subject.folders.items():
        if config is None or config.by_folders:
            pairs[split] = pair_up(pictures, masks, subject.names, numbers=numbers)
        else:  # lists, patterns and shares mean a part of the folders
            pairs[split] = Pairs()
            try:
                pairs[split].pairs = find_pairs(config, split)
            except InputError as error:
                refusals.append(_refusal("refused", error))
    return pairs, refusals


def _jobs(pairs: dict[str, Pairs]) -> Iterator[Job]:
    for split, found in pairs.items():
        for picture, mask in found.pairs:
            yield Job(split, picture, mask)
        for picture in (*found.lacking,):
            yield Job(split, picture, None)
        for mask in found.orphans:
            yield Job(split, None, mask)


def examine_source(spec: str, *, workers: int = 0, progress: Progress | None = None) -> Examination:
    """Look at points, at other kinds of labels, and at what is drawn: files, copies, own check."""
    path = Path(spec)
    root = path if path.is_dir() else path.parent
    findings: list[Finding] = []
    jobs: list[Job] = []
    splits: tuple[str, ...] = ("train", "val")
    try:
        source = open_data(spec)
    except InputError as error:
        if not path.exists():
            raise
        findings.append(_refusal("description", error))
        jobs = [Job("", root / place, None) for place in listed(root).pictures if not _aside(place)]
        if not jobs:
            raise
    else:
        splits = source.splits
        for split in splits:
            try:
                jobs += [Job(split, file, None) for file in _files(source, split, root)]
            except InputError as error:
                findings.append(_refusal("refused", error))
            else:
                findings += _checked(source, split, workers, progress)
    reading = Reading(None, 0, 255, (), MAX_MEGAPIXELS)
    facts = gather(jobs, reading, workers, progress)
    subject = Subject(root, path, {}, None, {}, MaskNames(), tuple(findings))
    pairs = {split: Pairs() for split in splits}
    seen = Seen(subject, pairs, {}, facts, reading)
    findings += [*check_splits(splits), *check_files(seen), *check_bands(seen), *check_copies(seen)]
    return Examination(seen, tuple(in_order(findings)), None)


def _aside(place: Path) -> bool:
    """Whether a file lies in a folder of masks."""
    return any(part.lower() in MASKS for part in place.parts[:-1])


def _files(source: Source, split: str, root: Path) -> Iterator[Path]:
    if isinstance(source, RastersSource):
        return  # too large to be read whole
    folders = [root]
    if isinstance(source, FolderSource | FolderLabelsSource):
        folders.append(source.config.folders(split)[0])
    elif isinstance(source, AnnotatedSource):
        folders.append(source.config.path)
    for name in source.split(split).files():
        beside = [Path(name), *(folder / name for folder in folders)]
        if found := next((file for file in beside if file.is_file()), None):
            yield found


def _checked(
    source: Source, split: str, workers: int, progress: Progress | None
) -> Iterator[Finding]:
    """What the set's own check of a split raises or tells."""
    try:
        found = source.split(split).check(progress, workers=workers)
    except InputError as error:
        yield _refusal("refused", error)
    else:
        for line in found.lines(source.classes.names):
            yield Finding("note", "told", f"{split}: {' '.join(line.split())}", "nothing")


def _refusal(key: str, error: InputError) -> Finding:
    what, _, remedy = " ".join(str(error).split()).rpartition("; ")
    return Finding("stop", key, what or str(error), remedy if what else "correct it")


def _own_check(seen: Seen) -> list[Finding]:
    """What opening the set says, where nothing else was found: the last word is the library's."""
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
        return [_refusal("refused", error)]
    return []
