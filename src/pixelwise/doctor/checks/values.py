"""The values that masks hold against those that are declared, with a `map:` that mends them."""

from collections.abc import Iterator, Mapping
from typing import Any

from pixelwise.doctor import palettes
from pixelwise.doctor.checks.colours import check_colours, check_palettes
from pixelwise.doctor.checks.held import (
    Masks,
    declared_map,
    is_grey,
    is_thin,
    names_of,
    told_values,
    total,
    unlisted_values,
    values_of,
)
from pixelwise.doctor.checks.meanings import check_meanings
from pixelwise.doctor.checks.smeared import smeared
from pixelwise.doctor.checks.unnamed import check_unnamed
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.mapping import IGNORE, VOID, Proposal, peaks, propose
from pixelwise.doctor.seen import Seen
from pixelwise.language import message

BACKGROUNDS = ("background", "other", "void", "unlabel", "unknown", "nothing", "none")
"""Words in the name of what 0 usually is."""
CERTAIN = frozenset({"values-instances", "values-label-ids", "values-are-ids"})
"""Many values that are no smeared borders."""


def check_values(seen: Seen) -> list[Finding]:
    """Values of class masks."""
    masks = seen.masks(lambda m: m.values and not m.error)
    if not masks or seen.reading.numbers:
        return []
    if seen.subject.config is None:
        return [*check_unnamed(seen, masks)]
    lacking = [(f, m) for f, m in masks if m.unlisted]
    if not lacking:
        return [*check_palettes(seen, masks), *check_meanings(seen, masks)]
    coloured = [(f, m) for f, m in lacking if m.coloured and not is_grey(m)]
    plain = [(f, m) for f, m in lacking if not m.coloured or is_grey(m)]
    found: list[Finding] = []
    if coloured:
        found += check_colours(seen, coloured, masks)
    if plain and coloured:
        text = message(
            "{coloured} masks are coloured, {counted} hold numbers",
            coloured=len(coloured),
            counted=counted(len(plain), "mask"),
        )
        remedy = message("save all in the same way")
        found.append(Finding("stop", "mask-kinds", text, remedy, names_of(seen, plain)))
    elif plain:
        found += _numbers(seen, plain, masks)
    return found


def _numbers(seen: Seen, lacking: Masks, masks: Masks) -> Iterator[Finding]:
    config = seen.subject.config
    assert config is not None
    classes = len(config.classes)
    unlisted = unlisted_values(lacking)
    text = message(
        "{lacking} of {counted} hold values that are not listed: ",
        lacking=len(lacking),
        counted=counted(len(masks), "mask"),
    )
    text += told_values(unlisted)
    names = names_of(seen, lacking)
    if config.values.colours and (found := _by_palette(seen, lacking)):
        yield Finding("stop", "palette-indices", text + found[0], found[1], names, found[2])
        return
    every = total(masks)
    proposal = propose(every, classes, is_thin(masks))
    meant = peaks(every, classes)
    if meant is not None and (proposal is None or proposal.key not in CERTAIN):
        yield smeared(seen, lacking, masks, meant, names)
        return
    if found_mixed := _mixed(lacking, masks, classes, declared_map(seen)):
        told, mended = found_mixed
        remedy = (
            message("write that map, or save all in the same way")
            if mended
            else message("save all in one way")
        )
        yield Finding(
            "stop", "values-mixed", text + message("; ") + told, remedy, names,
            None if mended is None else {"map": mended},
        )  # fmt: skip
        return
    known = proposal is not None and not set(unlisted) - set(proposal.map)
    if known and proposal is not None and proposal.key == "values-are-ids":
        known = not set(unlisted) <= set(VOID)
    if beyond := _beyond(seen, unlisted, every, masks):
        more, what = beyond
        yield Finding(
            "stop", "values-unlisted", text + message("; ") + what,
            message("name them under `names`, or map them to ignore"), names, {"names": more},
        )  # fmt: skip
        return
    if proposal is None or not known:
        proposal = _strays(unlisted, declared_map(seen), masks)
    remedy = message("map what stands in the masks to the classes")
    if proposal.remedy:
        remedy += message("; ") + proposal.remedy
    yield Finding(
        "stop",
        proposal.key,
        text + message("; ") + proposal.told,
        remedy,
        names,
        {"map": proposal.map},
    )


def _by_palette(seen: Seen, lacking: Masks) -> tuple[str, str, dict[str, Any]] | None:
    """Masks with a palette of the declared colours, whose indices are no ids."""
    config = seen.subject.config
    assert config is not None
    known = {palettes.code(c): i for c, i in config.values.colours.items()}
    if not all(m.palette and set(m.palette.values()) <= known.keys() for _, m in lacking):
        return None
    void = config.classes.ignore_index
    table = {palettes.shown(c): IGNORE if i == void else i for c, i in known.items()}
    return (
        message("; they are indices of a palette that has the declared colours"),
        message("read the masks by colour: a map of colours alone"),
        {"map": table},
    )


def _mixed(
    lacking: Masks, masks: Masks, classes: int, declared: dict[int, Any]
) -> tuple[str, dict[int, Any] | None] | None:
    """Masks of two kinds, where the ones are as declared: what was seen, and a map of both."""
    good = [(f, m) for f, m in masks if not m.unlisted]
    if not good:
        return None
    of_good, of_bad = set(total(good)), set(total(lacking))
    fully = [m for _, m in good if len(values_of(m)) > 1]
    if not fully or len(lacking) < 2:
        return None
    if classes == 2 and of_good | of_bad <= {0, 1, 255, 65535} and 0 in of_bad:
        if not any({1, 255} <= set(values_of(m)) for _, m in masks):
            top: dict[int, Any] = {v: 1 for v in (1, 255, 65535) if v in of_good | of_bad}
            return message("some masks are 0 and 1, others black and white"), {0: 0, **top}
        return None
    proposal = propose(total(lacking), classes, thin=False)
    if proposal is None or proposal.key in ("values-are-ids", "values-label-ids"):
        return None
    if proposal.key == "values-zero-other" or of_bad >= of_good:
        return None
    clash = [
        v for v in of_good & of_bad
        if v in declared and v in proposal.map and proposal.map[v] != declared[v]
    ]  # fmt: skip
    if proposal.key == "values-from-1" and 0 not in of_good:
        return None
    told = message(
        "in these {told}, in the other {counted} as declared",
        told=proposal.told,
        counted=counted(len(good), "mask"),
    )
    return told, None if clash else {**declared, **proposal.map}


def _beyond(
    seen: Seen, unlisted: Mapping[int, int], every: Mapping[int, int], masks: Masks
) -> tuple[dict[int, str], str] | None:
    """Names with those that are lacking, where ids go on beyond them."""
    config = seen.subject.config
    assert config is not None
    names = config.classes.names
    low, high = min(unlisted), max(unlisted)
    background = any(word in names[0].lower() for word in BACKGROUNDS)
    plain = "map" not in seen.subject.content and "palette" not in seen.subject.content
    if not (plain and background and low == len(names) and len(unlisted) == high - low + 1):
        return None
    if high >= 2 * len(names) + 2 or not {0, 1} <= set(every):
        return None
    number = len(unlisted)
    more = {i: names[i] if i < len(names) else f"class {i}" for i in range(high + 1)}
    return more, message(
        "ids go up to {high}, but only {names} classes have names: {amount} lack one",
        high=high,
        names=len(names),
        amount=number,
    )


def _strays(unlisted: Mapping[int, int], declared: dict[int, Any], masks: Masks) -> Proposal:
    pixels = sum(sum(m.values.values()) for _, m in masks)
    share = 100 * sum(unlisted.values()) / max(1, pixels)
    border = set(unlisted) == {255} and is_thin(masks)
    return Proposal(
        "values-border" if border else "values-unlisted",
        declared | dict.fromkeys(sorted(unlisted), IGNORE),
        message("255 is a thin border, as in VOC")
        if border
        else message("they are {share:.3g} % of all pixels", share=share),
        "" if border else message("or name the classes that they are"),
    )
