"""Masks whose borders are blurred."""

from typing import Any

from pixelwise.doctor.checks.held import Masks, declared_map, total
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.mapping import IGNORE, VOID, propose
from pixelwise.doctor.seen import Seen
from pixelwise.language import message


def smeared(
    seen: Seen, lacking: Masks, masks: Masks, meant: list[int], names: tuple[str, ...]
) -> Finding:
    """The finding about them.

    Args:
        seen: The data set.
        lacking: Masks with values that the map lacks.
        masks: All masks that can be read.
        meant: The values that are frequent.
        names: How the masks are told.
    """
    config = seen.subject.config
    assert config is not None
    every = total(masks)
    declared = declared_map(seen)
    table: dict[int, Any] = {v: declared[v] for v in meant if v in declared}
    listed = [v for v in meant if v not in VOID or v in table or len(meant) <= len(config.classes)]
    if len(table) < min(len(listed), len(config.classes)) or config.values.values == {}:
        found = propose({v: every[v] for v in listed}, len(config.classes), thin=False)
        if found is None:
            top = sorted(listed, key=lambda v: -every[v])[: len(config.classes)]
            table = {v: i for i, v in enumerate(sorted(top))}
        else:
            table = found.map
    elif config.classes.ignore_index == 255 and len(config.classes) == 2 and set(meant) == {0, 255}:
        table = {0: 0, 255: 1}
    deep = max(every) > 255
    table |= {v: IGNORE for v in (every if deep else range(256)) if v not in table}
    share = sum(n for v, n in every.items() if table[v] == IGNORE) / sum(every.values())
    return Finding(
        "stop",
        "mask-smeared",
        message(
            "{lacking} of {counted} hold {every} values, of which only {join} are"
            " frequent: borders are smeared, as by resizing, drawing with smooth"
            " lines or JPEG ({share:.1f} % of the pixels)",
            lacking=len(lacking),
            counted=counted(len(masks), "mask"),
            every=len(every),
            join=", ".join(map(str, meant)),
            share=100 * share,
        ),
        message(
            "draw or resize the masks anew by nearest neighbour; the map ignores what lies between"
        ),
        names,
        {"map": dict(sorted(table.items()))},
    )
