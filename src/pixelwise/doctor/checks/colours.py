"""Masks in colour: declared or not, and which class each colour is."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pixelwise.doctor import palettes
from pixelwise.doctor.checks.held import SHOWN, Masks, declared_map, names_of
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.mapping import IGNORE, peaks
from pixelwise.doctor.seen import Seen
from pixelwise.language import joined, message


def check_colours(seen: Seen, coloured: Masks, masks: Masks) -> Iterator[Finding]:
    """Masks in colours that the map does not have.

    Args:
        seen: The data set.
        coloured: The masks that hold them.
        masks: All masks that can be read.
    """
    config = seen.subject.config
    classes = len(config.classes) if config is not None else 0
    every: Counter[int] = Counter()
    for _, mask in masks:
        if mask.coloured:
            every.update(mask.values)
    if config is not None and config.values.colours:
        yield from _strange_colours(seen, coloured, masks, every)
        return
    meant = peaks(every, classes)
    kept = every if meant is None else Counter({v: every[v] for v in meant})
    if meant is not None or len(kept) > 256:
        yield Finding(
            "stop",
            "mask-smeared",
            message(
                "{coloured} of {counted} hold {every} colours: borders are smeared, or"
                " these are photographs",
                coloured=len(coloured),
                counted=counted(len(masks), "mask"),
                every=len(every),
            ),
            message("draw or resize the masks anew by nearest neighbour"),
            names_of(seen, coloured),
        )
        return
    table: dict[Any, Any]
    table, told = colour_map(kept, classes, seen)
    listed = ", ".join(palettes.shown(c) for c, _ in kept.most_common(SHOWN))
    if config is not None and len(coloured) < len(masks):
        table = declared_map(seen) | table
    yield Finding(
        "stop",
        "mask-colours",
        message(
            "{coloured} of {counted} are in {kept} colours ({listed}{what}), and no"
            " colour is declared; {told}",
            coloured=len(coloured),
            counted=counted(len(masks), "mask"),
            kept=len(kept),
            listed=listed,
            what=", ..." if len(kept) > SHOWN else "",
            told=told,
        ),
        message("write which class each colour is"),
        names_of(seen, coloured),
        {"map": table},
    )


def _strange_colours(
    seen: Seen, coloured: Masks, masks: Masks, every: Counter[int]
) -> Iterator[Finding]:
    config = seen.subject.config
    assert config is not None
    unlisted: Counter[int] = Counter()
    for _, mask in coloured:
        unlisted.update(mask.unlisted)
    void = config.classes.ignore_index
    known = {
        palettes.shown(palettes.code(c)): IGNORE if i == void else i
        for c, i in config.values.colours.items()
    }
    smeared = len(unlisted) >= 12
    table = known | {palettes.shown(c): IGNORE for c in sorted(unlisted)}
    listed = joined(
        ", ",
        (
            message("{shown} ({n} pixels)", shown=palettes.shown(c), n=n)
            for c, n in unlisted.most_common(SHOWN)
        ),
    )
    share = 100 * sum(unlisted.values()) / max(1, sum(every.values()))
    yield Finding(
        "stop",
        "mask-smeared" if smeared else "colours-unlisted",
        message(
            "{coloured} of {counted} hold {unlisted} colours that are not listed,"
            " {share:.3g} % of the pixels: {listed}",
            coloured=len(coloured),
            counted=counted(len(masks), "mask"),
            unlisted=len(unlisted),
            share=share,
            listed=listed,
        )
        + (message("; borders are smeared") if smeared else ""),
        message(
            "draw or resize the masks anew by nearest neighbour; the map ignores what lies between"
        )
        if smeared
        else message("map them to classes, or to ignore"),
        names_of(seen, coloured),
        {"map": table} if len(table) <= 512 else None,
    )


def colour_map(colours: Counter[int], classes: int, seen: Seen) -> tuple[dict[str, Any], str]:
    """Colour -> class id, and how they were told."""
    config = seen.subject.config
    own = [palettes.code(c) for c in config.classes.palette] if config is not None else []
    known = palettes.known_ids(colours, classes or len(colours), own)
    if known is not None:
        whose, ids = known
        table: dict[str, Any] = {palettes.shown(c): ids.get(c, IGNORE) for c in sorted(colours)}
        return table, message("they are {whose}", whose=whose)
    order = sorted(colours, key=lambda c: (c != 0, -colours[c]))
    last = classes or len(order)
    table = {palettes.shown(c): i if i < last else IGNORE for i, c in enumerate(order)}
    return table, message("which is which is a guess (black first, then by area)")


def check_palettes(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """Masks whose palettes show the same index in different colours: the index is no class."""
    of_index: dict[int, Counter[int]] = {}
    palettes_of = [(f, m) for f, m in masks if m.palette and len(m.values) > 1]
    for _, mask in palettes_of:
        for index, colour in mask.palette.items():
            of_index.setdefault(index, Counter())[colour] += 1
    usual = {index: colours.most_common(1)[0][0] for index, colours in of_index.items()}
    unlike = [
        (f, m) for f, m in palettes_of
        if sum(usual[i] != c for i, c in m.palette.items()) > len(m.palette) / 2
    ]  # fmt: skip
    every: Counter[int] = Counter()
    for _, mask in palettes_of:
        for index, colour in mask.palette.items():
            every[colour] += mask.values[index]
    if not unlike or len(every) > 2 * len(usual) + 1:
        return  # indices of random colours, made for showing only
    config = seen.subject.config
    table, told = colour_map(every, 0 if config is None else len(config.classes), seen)
    whole = len(palettes_of) == len(masks)
    yield Finding(
        "stop",
        "palette-indices",
        message(
            "{unlike} of {counted} show an index in another colour than the others"
            " do, so that it is no class; {told}",
            unlike=len(unlike),
            counted=counted(len(masks), "mask"),
            told=told,
        ),
        message("read the masks by colour, and write which class each colour is"),
        names_of(seen, unlike),
        {"map": table} if whole else None,
    )
