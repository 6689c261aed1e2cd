"""Masks that hold numbers: those without any, of one number, and with a number for no data."""

from collections.abc import Iterator

from pixelwise.data.survey import HUGE, SENTINELS
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import message


def check_measured(seen: Seen) -> Iterator[Finding]:
    """All of them."""
    config = seen.subject.config
    masks = seen.masks(lambda m: not m.error and m.height)
    if not seen.reading.numbers or config is None or not masks:
        return
    everything = counted(len(masks), "mask")
    empty = [f for f, m in masks if m.low is None]
    if empty:
        yield Finding(
            "stop" if len(empty) == len(masks) else "warn",
            "mask-empty",
            message(
                "{empty} of {everything} hold no finite number",
                empty=len(empty),
                everything=everything,
            ),
            message("measure them, or remove them"),
            seen.mask_names(empty),
        )
    constant = [f for f, m in masks if m.low is not None and m.low == m.high]
    if constant:
        yield Finding(
            "stop" if len(constant) == len(masks) else "note",
            "mask-constant",
            message(
                "{constant} of {everything} hold one number everywhere",
                constant=len(constant),
                everything=everything,
            ),
            message("check how they were saved"),
            seen.mask_names(constant),
        )
    known = set(config.values_nodata)
    odd = {
        value for _, m in masks for value in (m.low, m.high)
        if value is not None and value not in known
        and (value in SENTINELS or abs(value) >= HUGE)
    }  # fmt: skip
    if odd:
        told = [*config.values_nodata, *sorted(odd)]
        yield Finding(
            "stop",
            "values-nodata",
            message(
                "masks hold {join}, which rasters are filled with where nothing was measured",
                join=", ".join(f"{v:g}" for v in sorted(odd)),
            ),
            message("write values_nodata: {told}", told=told),
            seen.mask_names([f for f, m in masks if {m.low, m.high} & odd]),
            {"values_nodata": told},
        )
