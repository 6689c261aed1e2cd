"""Values that are all listed, and yet mean something else."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pixelwise.data.layouts import CITYSCAPES, LABEL_IDS
from pixelwise.doctor.checks.held import (
    SHOWN,
    Masks,
    is_grey,
    names_of,
    told_values,
    total,
    values_of,
)
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.mapping import IGNORE, propose
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

ADE_CLASSES = 150


def check_meanings(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """Values that are all listed, and yet mean something else."""
    config = seen.subject.config
    assert config is not None
    yield from _ramps(seen, masks)
    counts = [sum(m.counts[i] for _, m in masks if m.counts) for i in range(len(config.classes))]
    present = [i for i, n in enumerate(counts) if n]
    ignored = sum(m.ignored for _, m in masks)
    every = total([(f, m) for f, m in masks if not m.coloured or is_grey(m)])
    classes = len(config.classes)
    if _are_train_ids(seen, every):
        yield Finding(
            "stop",
            "values-train-ids",
            message(
                "the map is that of Cityscapes' label ids (0 to 33), but masks hold only"
                " 0 to 18 and 255, as its train ids do"
            ),
            message("map each train id to itself, or take the files *_labelIds"),
            names_of(seen, masks),
            {"map": {**{i: i for i in range(classes)}, 255: IGNORE}},
        )
    elif ignored and len(present) < 2 and len(every) > 1:
        proposal = propose(every, classes, thin=False)
        table = (
            proposal.map
            if proposal is not None and proposal.key != "values-are-ids"
            else {v: i for i, v in enumerate(sorted(every)) if i < classes}
        )
        yield Finding(
            "stop",
            proposal.key if proposal is not None else "values-0-255",
            message(
                "all {counted} hold only {told_values}; with the map as it is,"
                " {ignored:.3g} % of the pixels are ignored and {what} left",
                counted=counted(len(masks), "mask"),
                told_values=told_values(every),
                ignored=100 * ignored / (ignored + sum(counts)),
                what=message("one class is") if present else message("no class is"),
            ),
            message("say which class the ignored values are"),
            names_of(seen, masks),
            {"map": table},
        )
    elif half := _black_and_white(masks, classes):
        yield Finding(
            "stop",
            "values-mixed",
            message(
                "{half} of {counted} are black and white (0 and 255), the others 0 and"
                " 1; 255 is ignored as the map is",
                half=len(half),
                counted=counted(len(masks), "mask"),
            ),
            message("write that map, or save all in the same way"),
            names_of(seen, half),
            {"map": {0: 0, 1: 1, 255: 1}},
        )
    elif _are_raw_ade(seen, every):
        yield Finding(
            "warn",
            "values-zero-other",
            message(
                "these are ADE20K's 150 classes; in its masks 0 means other and wall is"
                " 1, but the map takes 0 for wall, and no mask holds 255"
            ),
            message(
                "map 0 to ignore and each other value to one less, unless they were renumbered"
            ),
            names_of(seen, masks),
            {"map": {0: IGNORE, **{i: i - 1 for i in range(1, classes + 1)}}},
        )
    colours = [(f, m) for f, m in masks if m.coloured and not is_grey(m)]
    if colours and len(colours) < len(masks) and config.values.values and config.values.colours:
        text = message(
            "{colours} of {counted} are coloured, the others numbers",
            colours=len(colours),
            counted=counted(len(masks), "mask"),
        )
        yield Finding(
            "note",
            "mask-kinds",
            text,
            message("nothing, if both are meant"),
            names_of(seen, colours),
        )


def _black_and_white(masks: Masks, classes: int) -> Masks:
    """Masks of 0 and 255 among others of 0 and 1, if there is none of all three."""
    half = [(f, m) for f, m in masks if {*values_of(m)} <= {0, 255} and 255 in values_of(m)]
    ids = [m for _, m in masks if 1 in values_of(m)]
    if classes != 2 or not half or len(ids) < 2 or any(255 in values_of(m) for m in ids):
        return []
    return half if any(m.counts[0] and m.ignored > 0.02 * m.counts[0] for _, m in half) else []


def _are_raw_ade(seen: Seen, every: Mapping[int, int]) -> bool:
    config = seen.subject.config
    assert config is not None
    names = [name.lower() for name in config.classes.names[:2]]
    known = len(config.classes) == ADE_CLASSES and names[0].startswith("wall")
    return known and config.values.values.get(0) == 0 and 0 in every and 255 not in every


def _are_train_ids(seen: Seen, every: Mapping[int, int]) -> bool:
    config = seen.subject.config
    assert config is not None
    void = config.classes.ignore_index
    declared = config.values.values
    if len(config.classes) != len(CITYSCAPES) or len(declared) < LABEL_IDS:
        return False
    low = {v: n for v, n in every.items() if v < 7}
    ignored = sum(n for v, n in low.items() if declared.get(v) == void)
    return max(v for v in every if v != 255) < len(CITYSCAPES) and ignored > 0.3 * sum(
        every.values()
    )


def _ramps(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """Ids that stand only between lower and higher ones, as blurring makes them.

    A class that is a line by nature, such as a kerb, is one value; blurring makes several, or such
    that have areas elsewhere.
    """
    ramps: Counter[int] = Counter()
    for _, mask in masks:
        ramps.update(mask.ramps)
    every, total_of_ramps = total(masks), sum(ramps.values())
    many = sum(n >= 0.1 * total_of_ramps for n in ramps.values()) > 1
    wide = any(n >= 0.5 * total_of_ramps and every[v] > 2 * n for v, n in ramps.items())
    if not (many or wide):
        return
    blurred = [(f, m) for f, m in masks if (n := sum(m.ramps.values())) >= 12 and n > m.jumps]
    clearly = [m for _, m in blurred if (n := sum(m.ramps.values())) >= 30 and n > 3 * m.jumps]
    jumps = sum(m.jumps for _, m in masks)
    most = 2 * len(blurred) > len(masks)
    if (most and total_of_ramps >= 30 and total_of_ramps > jumps) or clearly:
        yield Finding(
            "stop",
            "mask-smeared",
            message(
                "{blurred} of {counted} go from one class to another through the ids"
                " between ({join}), in strips of a few pixels: they were resized or drawn"
                " with smooth lines",
                blurred=len(blurred),
                counted=counted(len(masks), "mask"),
                join=", ".join(map(str, sorted(ramps)[:SHOWN])),
            ),
            message("draw or resize the masks anew by nearest neighbour; no map can mend them"),
            names_of(seen, blurred),
        )
