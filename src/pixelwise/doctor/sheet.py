"""A contact sheet: typical, strange and suspected pictures below their masks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.data.classes import Colour, default_palette
from pixelwise.data.reading import read_picture
from pixelwise.doctor.examine import Examination
from pixelwise.doctor.facts import PairFacts
from pixelwise.doctor.read_masks import mask_ids
from pixelwise.errors import InputError
from pixelwise.language import mark, translate
from pixelwise.pictures.files import png
from pixelwise.pictures.masks import displayable, overlay
from pixelwise.report import Figure, Section

EACH = 4
SUSPECTED = 12
LONGEST = 360
"""Pixels of the longer side of a picture in the sheet."""


def contact_sheet(examination: Examination) -> list[Section]:
    """The pictures of what was found, then of what is usual and what is not."""
    chosen = _suspected(examination)
    typical, strange = _by_classes(examination)
    sections = []
    for title, text, items in (
        (
            mark("Suspected pictures"),
            mark("The first pictures of the findings that matter."),
            chosen,
        ),
        (mark("Typical pictures"), mark("Their classes have shares as in the whole set."), typical),
        (
            mark("Strangest pictures"),
            mark("Their classes have shares unlike the whole set."),
            strange,
        ),
    ):
        figures = tuple(
            figure for facts, note in items if (figure := _figure(examination, facts, note))
        )
        if figures:
            sections.append(Section(translate(title), translate(text), figures))
    return sections


def _suspected(examination: Examination) -> list[tuple[PairFacts, str]]:
    seen = examination.seen
    by_name = {
        seen.subject.told(name): f for f in seen.facts for name in (f.picture_name, f.mask_name)
    }
    found: dict[str, tuple[PairFacts, str]] = {}
    for finding in examination.findings:
        if finding.severity == "note":
            continue
        for name in finding.files[:EACH]:
            facts = by_name.get(name)
            if facts is not None and facts.picture_name not in found:
                found[facts.picture_name] = facts, finding.key
    return [*found.values()][:SUSPECTED]


def _by_classes(
    examination: Examination,
) -> tuple[Sequence[tuple[PairFacts, str]], Sequence[tuple[PairFacts, str]]]:
    """Pictures nearest to the mean shares of the classes, and farthest from them."""
    able = [
        (f, np.array([*f.mask.counts, f.mask.ignored], float))
        for f in examination.seen.facts
        if f.picture is not None and f.mask is not None and any(f.mask.counts)
    ]
    if len(able) <= 2 * EACH:
        return [(f, f.split) for f, _ in able], []
    shares = np.stack([counts / counts.sum() for _, counts in able])
    distance = np.abs(shares - shares.mean(0)).sum(1)
    order = np.argsort(distance, kind="stable")
    return (
        [(able[i][0], able[i][0].split) for i in order[:EACH]],
        [(able[i][0], able[i][0].split) for i in order[: -EACH - 1 : -1]],
    )


def _figure(examination: Examination, facts: PairFacts, note: str) -> Figure | None:
    seen = examination.seen
    if not facts.picture_name:
        return None
    try:
        picture = displayable(read_picture(Path(facts.picture_name)).values)
    except InputError:
        return None
    high, wide = picture.shape[:2]
    scale = min(1.0, LONGEST / max(high, wide))
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    small = np.array(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    ids = mask_ids(Path(facts.mask_name), seen.reading) if facts.mask_name else None
    if ids is not None:
        rows = np.arange(size[1]) * ids.shape[0] // size[1]
        columns = np.arange(size[0]) * ids.shape[1] // size[0]
        colours = _palette(examination, int(ids.max(initial=0)))
        small = overlay(
            small, ids[rows][:, columns], colours, ignore_index=seen.reading.ignore_index
        )
    name = seen.subject.told(facts.picture_name)
    return Figure(
        png(small),
        alt=translate("{name} below its mask").format(name=name),
        caption=f"{name} ({note})",
    )


def _palette(examination: Examination, highest: int) -> Sequence[Colour]:
    config = examination.seen.subject.config
    if config is not None and not config.quantities:
        return config.classes.palette
    return default_palette(min(highest, 254) + 1)


def legend_entries(examination: Examination) -> Iterator[tuple[str, Colour]]:
    """Name and colour of each class."""
    config = examination.seen.subject.config
    if config is not None and not config.quantities:
        yield from zip(config.classes.names, config.classes.palette, strict=True)
