"""Masks of a set that names no classes: which there may be."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pixelwise.doctor.checks.colours import check_colours, colour_map
from pixelwise.doctor.checks.held import Masks, is_grey, told_values, total
from pixelwise.doctor.finding import Finding
from pixelwise.doctor.mapping import IGNORE, VOID, peaks
from pixelwise.doctor.seen import Seen
from pixelwise.language import message


def check_unnamed(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """No names are declared: propose some."""
    coloured = [(f, m) for f, m in masks if m.coloured and not is_grey(m)]
    table: dict[Any, Any]
    if 2 * len(coloured) > len(masks):
        every: Counter[int] = Counter()
        for _, mask in coloured:
            every.update(mask.values)
        if len(every) > 256:
            yield from check_colours(seen, coloured, masks)
            return
        by_colour, told = colour_map(every, 0, seen)
        table = {**by_colour}
        text = message("masks are in {every} colours; {told}", every=len(every), told=told)
    else:
        found = total(masks)
        meant = peaks(found, 0)
        values = sorted(found if meant is None else meant)
        core = [v for v in values if v not in VOID or len(values) <= 2]
        table = {v: i for i, v in enumerate(core)}
        if meant is not None:
            table |= {v: IGNORE for v in range(256) if v not in table}
        table |= {v: IGNORE for v in values if v not in table}
        text = message("masks hold {told_values}", told_values=told_values(found))
    number = len({i for i in table.values() if i != IGNORE})
    names = ["background", "foreground"] if number <= 2 else [f"class {i}" for i in range(number)]
    repair: dict[str, Any] = {"names": dict(enumerate(names)), "map": table}
    if all(target == v or (v == 255 and target == IGNORE) for v, target in table.items()):
        repair["map"] = None
    if "palette" in seen.subject.content:
        repair["palette"] = None
    yield Finding(
        "stop", "no-names", message("no usable names are declared; {text}", text=text),
        message("name the {amount} classes under `names:`", amount=number), (), repair,
    )  # fmt: skip
