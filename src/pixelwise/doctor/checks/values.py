"""The values that masks hold against those that are declared, with a `map:` that mends them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pixelwise.data.layouts import CITYSCAPES, LABEL_IDS
from pixelwise.doctor import palettes
from pixelwise.doctor.facts import MaskFacts, PairFacts
from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.mapping import IGNORE, VOID, Proposal, peaks, propose
from pixelwise.doctor.seen import Seen

THIN = 0.6
"""Share of pixels of 255 near another value, above which 255 is a border."""
SHOWN = 6
ADE_CLASSES = 150
CERTAIN = frozenset({"values-instances", "values-label-ids", "values-are-ids"})
"""Many values that are no smeared borders."""
Masks = Sequence[tuple[PairFacts, MaskFacts]]


def check_values(seen: Seen) -> list[Finding]:
    """Values of class masks."""
    masks = seen.masks(lambda m: m.values and not m.error)
    if not masks or seen.reading.numbers:
        return []
    if seen.subject.config is None:
        return [*_unnamed(seen, masks)]
    lacking = [(f, m) for f, m in masks if m.unlisted]
    if not lacking:
        return [*_quiet(seen, masks)]
    coloured = [(f, m) for f, m in lacking if m.coloured and not _is_grey(m)]
    plain = [(f, m) for f, m in lacking if not m.coloured or _is_grey(m)]
    found: list[Finding] = []
    if coloured:
        found += _colours(seen, coloured, masks)
    if plain and coloured:
        text = f"{len(coloured)} masks are coloured, {counted(len(plain), 'mask')} hold numbers"
        remedy = "save all in the same way"
        found.append(Finding("stop", "mask-kinds", text, remedy, _names(seen, plain)))
    elif plain:
        found += _numbers(seen, plain, masks)
    return found


def _is_grey(mask: MaskFacts) -> bool:
    return all(v >> 16 == (v >> 8 & 255) == v & 255 for v in mask.values)


def _values(mask: MaskFacts) -> Mapping[int, int]:
    """Raw values, also of a grey mask that is saved in colour."""
    return {v & 255: n for v, n in mask.values.items()} if mask.coloured else mask.values


def _total(masks: Masks) -> Counter[int]:
    total: Counter[int] = Counter()
    for _, mask in masks:
        total.update(_values(mask))
    return total


def _names(seen: Seen, masks: Masks) -> tuple[str, ...]:
    return seen.mask_names([f for f, _ in masks])


def _thin(masks: Masks) -> bool:
    """Whether 255 is only a border."""
    shares = sorted(m.thin for _, m in masks if not m.coloured and 255 in m.values)
    return bool(shares) and shares[len(shares) // 2] >= THIN


def _told(values: Mapping[int, int]) -> str:
    listed = sorted(values.items(), key=lambda pair: -pair[1])
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(f"{v} ({n} pixels)" for v, n in listed[:SHOWN]) + more


def _declared(seen: Seen) -> dict[int, Any]:
    config = seen.subject.config
    assert config is not None
    void = config.classes.ignore_index
    return {v: IGNORE if i == void else i for v, i in config.values.values.items()}


def _unlisted(masks: Masks) -> Counter[int]:
    total: Counter[int] = Counter()
    for _, mask in masks:
        total.update(
            {v & 255: n for v, n in mask.unlisted.items()} if mask.coloured else mask.unlisted
        )
    return total


def _numbers(seen: Seen, lacking: Masks, masks: Masks) -> Iterator[Finding]:
    config = seen.subject.config
    assert config is not None
    classes = len(config.classes)
    unlisted = _unlisted(lacking)
    text = f"{len(lacking)} of {counted(len(masks), 'mask')} hold values that are not listed: "
    text += _told(unlisted)
    names = _names(seen, lacking)
    if config.values.colours and (found := _by_palette(seen, lacking)):
        yield Finding("stop", "palette-indices", text + found[0], found[1], names, found[2])
        return
    every = _total(masks)
    proposal = propose(every, classes, _thin(masks))
    meant = peaks(every, classes)
    if meant is not None and (proposal is None or proposal.key not in CERTAIN):
        yield _smeared(seen, lacking, masks, meant, names)
        return
    if found_mixed := _mixed(lacking, masks, classes, _declared(seen)):
        told, mended = found_mixed
        remedy = "write that map, or save all in the same way" if mended else "save all in one way"
        yield Finding(
            "stop", "values-mixed", f"{text}; {told}", remedy, names,
            None if mended is None else {"map": mended},
        )  # fmt: skip
        return
    known = proposal is not None and not set(unlisted) - set(proposal.map)
    if known and proposal is not None and proposal.key == "values-are-ids":
        known = not set(unlisted) <= set(VOID)
    if proposal is None or not known:
        proposal = _strays(unlisted, _declared(seen), masks)
    remedy = "map what stands in the masks to the classes"
    remedy += f"; {proposal.remedy}" if proposal.remedy else ""
    yield Finding(
        "stop", proposal.key, f"{text}; {proposal.told}", remedy, names, {"map": proposal.map}
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
        "; they are indices of a palette that has the declared colours",
        "read the masks by colour: a map of colours alone",
        {"map": table},
    )


def _smeared(
    seen: Seen, lacking: Masks, masks: Masks, meant: list[int], names: tuple[str, ...]
) -> Finding:
    config = seen.subject.config
    assert config is not None
    every = _total(masks)
    declared = _declared(seen)
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
        f"{len(lacking)} of {counted(len(masks), 'mask')} hold {len(every)} values, of which only"
        f" {', '.join(map(str, meant))} are frequent: borders are smeared, as by resizing, drawing"
        f" with smooth lines or JPEG ({100 * share:.1f} % of the pixels)",
        "draw or resize the masks anew by nearest neighbour; the map ignores what lies between",
        names,
        {"map": dict(sorted(table.items()))},
    )


def _mixed(
    lacking: Masks, masks: Masks, classes: int, declared: dict[int, Any]
) -> tuple[str, dict[int, Any] | None] | None:
    """Masks of two kinds, where the ones are as declared: what was seen, and a map of both."""
    good = [(f, m) for f, m in masks if not m.unlisted]
    if not good:
        return None
    of_good, of_bad = set(_total(good)), set(_total(lacking))
    fully = [m for _, m in good if len(_values(m)) > 1]
    if not fully or len(lacking) < 2:
        return None
    if classes == 2 and of_good | of_bad <= {0, 1, 255, 65535} and 0 in of_bad:
        if not any({1, 255} <= set(_values(m)) for _, m in masks):
            top: dict[int, Any] = {v: 1 for v in (1, 255, 65535) if v in of_good | of_bad}
            return "some masks are 0 and 1, others black and white", {0: 0, **top}
        return None
    proposal = propose(_total(lacking), classes, thin=False)
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
    told = f"in these {proposal.told}, in the other {counted(len(good), 'mask')} as declared"
    return told, None if clash else {**declared, **proposal.map}


def _strays(unlisted: Mapping[int, int], declared: dict[int, Any], masks: Masks) -> Proposal:
    pixels = sum(sum(m.values.values()) for _, m in masks)
    share = 100 * sum(unlisted.values()) / max(1, pixels)
    border = set(unlisted) == {255} and _thin(masks)
    return Proposal(
        "values-border" if border else "values-unlisted",
        declared | dict.fromkeys(sorted(unlisted), IGNORE),
        "255 is a thin border, as in VOC" if border else f"they are {share:.3g} % of all pixels",
        "" if border else "or name the classes that they are",
    )


def _quiet(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """Values that are all listed, and yet mean something else."""
    config = seen.subject.config
    assert config is not None
    counts = [sum(m.counts[i] for _, m in masks if m.counts) for i in range(len(config.classes))]
    present = [i for i, n in enumerate(counts) if n]
    ignored = sum(m.ignored for _, m in masks)
    every = _total([(f, m) for f, m in masks if not m.coloured or _is_grey(m)])
    classes = len(config.classes)
    if _are_train_ids(seen, every):
        yield Finding(
            "stop",
            "values-train-ids",
            "the map is that of Cityscapes' label ids (0 to 33), but masks hold only 0 to 18 and"
            " 255, as its train ids do",
            "map each train id to itself, or take the files *_labelIds",
            _names(seen, masks),
            {"map": {**{i: i for i in range(classes)}, 255: IGNORE}},
        )
    elif ignored and len(present) < 2:
        proposal = propose(every, classes, thin=False)
        table = (
            proposal.map
            if proposal is not None and proposal.key != "values-are-ids"
            else {v: i for i, v in enumerate(sorted(every)) if i < classes}
        )
        yield Finding(
            "stop",
            proposal.key if proposal is not None else "values-0-255",
            f"all {counted(len(masks), 'mask')} hold only {_told(every)}; with the map as it is,"
            f" {100 * ignored / (ignored + sum(counts)):.3g} % of the pixels are ignored and"
            f" {'one class is' if present else 'no class is'} left",
            "say which class the ignored values are",
            _names(seen, masks),
            {"map": table} if len(every) > 1 else None,
        )
    elif half := _black_and_white(masks, classes):
        yield Finding(
            "stop",
            "values-mixed",
            f"{len(half)} of {counted(len(masks), 'mask')} are black and white (0 and 255), the"
            " others 0 and 1; 255 is ignored as the map is",
            "write that map, or save all in the same way",
            _names(seen, half),
            {"map": {0: 0, 1: 1, 255: 1}},
        )
    elif _are_raw_ade(seen, every):
        yield Finding(
            "warn",
            "values-zero-other",
            "these are ADE20K's 150 classes; in its masks 0 means other and wall is 1, but the map"
            " takes 0 for wall, and no mask holds 255",
            "map 0 to ignore and each other value to one less, unless they were renumbered",
            _names(seen, masks),
            {"map": {0: IGNORE, **{i: i - 1 for i in range(1, classes + 1)}}},
        )
    colours = [(f, m) for f, m in masks if m.coloured and not _is_grey(m)]
    if colours and len(colours) < len(masks) and config.values.values and config.values.colours:
        text = f"{len(colours)} of {counted(len(masks), 'mask')} are coloured, the others numbers"
        yield Finding(
            "note", "mask-kinds", text, "nothing, if both are meant", _names(seen, colours)
        )


def _black_and_white(masks: Masks, classes: int) -> Masks:
    """Masks of 0 and 255 among others of 0 and 1, if there is none of all three."""
    half = [(f, m) for f, m in masks if {*_values(m)} <= {0, 255} and 255 in _values(m)]
    ids = [m for _, m in masks if 1 in _values(m)]
    if classes != 2 or min(len(half), len(ids)) < 2 or any(255 in _values(m) for m in ids):
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


def _colours(seen: Seen, coloured: Masks, masks: Masks) -> Iterator[Finding]:
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
            f"{len(coloured)} of {counted(len(masks), 'mask')} hold {len(every)} colours: borders"
            " are smeared, or these are photographs",
            "draw or resize the masks anew by nearest neighbour",
            _names(seen, coloured),
        )
        return
    table, told = colour_map(kept, classes, seen)
    listed = ", ".join(palettes.shown(c) for c, _ in kept.most_common(SHOWN))
    yield Finding(
        "stop",
        "mask-colours",
        f"{len(coloured)} of {counted(len(masks), 'mask')} are in {len(kept)} colours ({listed}"
        f"{', ...' if len(kept) > SHOWN else ''}), and no colour is declared; {told}",
        "write which class each colour is",
        _names(seen, coloured),
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
    listed = ", ".join(f"{palettes.shown(c)} ({n} pixels)" for c, n in unlisted.most_common(SHOWN))
    share = 100 * sum(unlisted.values()) / max(1, sum(every.values()))
    yield Finding(
        "stop",
        "mask-smeared" if smeared else "colours-unlisted",
        f"{len(coloured)} of {counted(len(masks), 'mask')} hold {len(unlisted)} colours that are"
        f" not listed, {share:.3g} % of the pixels: {listed}"
        + ("; borders are smeared" if smeared else ""),
        "draw or resize the masks anew by nearest neighbour; the map ignores what lies between"
        if smeared
        else "map them to classes, or to ignore",
        _names(seen, coloured),
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
        return table, f"they are {whose}"
    order = sorted(colours, key=lambda c: (c != 0, -colours[c]))
    last = classes or len(order)
    table = {palettes.shown(c): i if i < last else IGNORE for i, c in enumerate(order)}
    return table, "which is which is a guess (black first, then by area)"


def _unnamed(seen: Seen, masks: Masks) -> Iterator[Finding]:
    """No names are declared: propose some."""
    coloured = [(f, m) for f, m in masks if m.coloured and not _is_grey(m)]
    table: dict[Any, Any]
    if 2 * len(coloured) > len(masks):
        every: Counter[int] = Counter()
        for _, mask in coloured:
            every.update(mask.values)
        if len(every) > 256:
            yield from _colours(seen, coloured, masks)
            return
        by_colour, told = colour_map(every, 0, seen)
        table = {**by_colour}
        text = f"masks are in {len(every)} colours; {told}"
    else:
        found = _total(masks)
        meant = peaks(found, 0)
        values = sorted(found if meant is None else meant)
        core = [v for v in values if v not in VOID or len(values) <= 2]
        table = {v: i for i, v in enumerate(core)}
        if meant is not None:
            table |= {v: IGNORE for v in range(256) if v not in table}
        table |= {v: IGNORE for v in values if v not in table}
        text = f"masks hold {_told(found)}"
    number = len({i for i in table.values() if i != IGNORE})
    names = ["background", "foreground"] if number <= 2 else [f"class {i}" for i in range(number)]
    repair: dict[str, Any] = {"names": dict(enumerate(names)), "map": table}
    if all(target == v or (v == 255 and target == IGNORE) for v, target in table.items()):
        repair["map"] = None
    if "palette" in seen.subject.content:
        repair["palette"] = None
    yield Finding(
        "stop", "no-names", f"no usable names are declared; {text}",
        f"name the {number} classes under `names:`", (), repair,
    )  # fmt: skip
