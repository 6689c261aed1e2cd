"""What the masks hold: shares, absent classes, empty masks, weights, small regions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pixelwise.doctor.finding import Finding, counted
from pixelwise.doctor.seen import Seen
from pixelwise.language import joined, message

MUCH_IGNORED = 0.6
CROP = 512
"""Rows and columns of training's usual crops."""
PART = 0.25
"""Share of a picture that a crop must show, or else it is told."""
FEW_MASKS = 3
"""Masks of a split below which it may well be of one class."""
RARE = 0.005
"""Share of the pixels below which a class is easily never said."""
STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class ClassTable:
    """Numbers of each class.

    Args:
        names: The classes.
        pixels: Split -> pixels of each class.
        ignored: Split -> pixels that do not count.
        pictures: Split -> pictures that hold each class.
        weights: Proposed for the loss, 1 on average over the classes that occur in train.
        lost: Stride -> share of each class's regions that are smaller than one place of it.
    """

    names: tuple[str, ...]
    pixels: Mapping[str, tuple[int, ...]]
    ignored: Mapping[str, int]
    pictures: Mapping[str, tuple[int, ...]]
    weights: tuple[float | None, ...]
    lost: Mapping[int, tuple[float | None, ...]]


def class_table(seen: Seen) -> ClassTable | None:
    """The numbers; None where classes are not known."""
    config = seen.subject.config
    if config is None or seen.reading.numbers:
        return None
    count = len(config.classes)
    pixels, ignored, pictures = {}, {}, {}
    for split in seen.splits:
        masks = [f.mask for f in seen.of_split(split) if f.mask is not None and f.mask.counts]
        pixels[split] = tuple(sum(m.counts[i] for m in masks) for i in range(count))
        pictures[split] = tuple(sum(m.counts[i] > 0 for m in masks) for i in range(count))
        ignored[split] = sum(m.ignored for m in masks)
    first = pixels.get("train") or next(iter(pixels.values()), (0,) * count)
    return ClassTable(
        config.classes.names, pixels, ignored, pictures, _weights(first),
        {stride: _lost(seen, count, stride) for stride in STRIDES},
    )  # fmt: skip


def _weights(pixels: tuple[int, ...]) -> tuple[float | None, ...]:
    """The inverse root of each share: rare classes count more, but not all."""
    raw = [1 / n**0.5 if n else None for n in pixels]
    known = [w for w in raw if w is not None]
    mean = sum(known) / len(known) if known else 1.0
    return tuple(None if w is None else w / mean for w in raw)


def _lost(seen: Seen, count: int, stride: int) -> tuple[float | None, ...]:
    bins = 2 * (stride.bit_length() - 1)
    shares: list[float | None] = []
    for i in range(count):
        sizes = [m.regions[i] for _, m in seen.masks(lambda m: m.regions) if i in m.regions]
        every = sum(map(sum, sizes))
        shares.append(sum(sum(s[:bins]) for s in sizes) / every if every else None)
    return tuple(shares)


def check_classes(seen: Seen) -> list[Finding]:
    """Classes that are absent, and masks that hold nothing."""
    table = class_table(seen)
    masks = seen.masks(lambda m: m.counts and not m.error)
    if table is None or not masks:
        return []
    return [
        *_absent(table),
        *_one_class(seen, table),
        *_empty(seen),
        *_rare(table),
        *_small(table),
        *_crops(seen, table),
    ]


def _absent(table: ClassTable) -> Iterator[Finding]:
    for split, pixels in table.pixels.items():
        present = [name for name, n in zip(table.names, pixels, strict=True) if n]
        others = any(sum(n > 0 for n in p) > 1 for p in table.pixels.values())
        if table.ignored[split] and len(present) < 2 and others:
            yield Finding(
                "stop",
                "split-one-class",
                message(
                    "{split!r} holds only {what}{what2}, unlike other splits",
                    split=split,
                    what=present[0] if present else message("ignored pixels"),
                    what2=message(" and ignored pixels") if present else "",
                ),
                message("look how its masks were saved, and at `map`"),
            )
    everywhere = [sum(p[i] for p in table.pixels.values()) for i in range(len(table.names))]
    nowhere = [name for name, n in zip(table.names, everywhere, strict=True) if not n]
    if nowhere and len(nowhere) < len(table.names):
        yield Finding(
            "note",
            "class-absent",
            message(
                "{nowhere} of {names} classes have no pixel in any split: {nowhere2}",
                nowhere=len(nowhere),
                names=len(table.names),
                nowhere2=", ".join(nowhere),
            ),
            message("check `names` and `map`, if they should have some"),
        )
    for split, pixels in table.pixels.items():
        absent = [i for i, n in enumerate(pixels) if not n and everywhere[i]]
        if not absent or not sum(pixels):
            continue
        grave = [i for i in absent if split == "train" and _weighs(table, i)]
        yield Finding(
            "warn" if grave else "note",
            "class-absent-train" if split == "train" else "class-absent-split",
            message(
                "{split!r} has no pixel of {join}",
                split=split,
                join=", ".join(table.names[i] for i in absent),
            ),
            message("move pictures of it there; what is not in train cannot be learnt")
            if split == "train"
            else message("move pictures of it there; nothing is said about it otherwise"),
        )


def _one_class(seen: Seen, table: ClassTable) -> Iterator[Finding]:
    for split, pixels in table.pixels.items():
        present = [i for i, n in enumerate(pixels) if n]
        others = [p for name, p in table.pixels.items() if name != split]
        masks = [f for f in seen.of_split(split) if f.mask is not None and f.mask.counts]
        if table.ignored[split] or len(present) != 1 or len(masks) < FEW_MASKS:
            continue
        if any(sum(n > 0 for n in p) > 1 for p in others):
            yield Finding(
                "stop" if split in ("train", "val") else "warn",
                "split-one-class",
                message(
                    "all {counted} of {split!r} hold only {table}, unlike other splits",
                    counted=counted(len(masks), "mask"),
                    split=split,
                    table=table.names[present[0]],
                ),
                message("look how they were saved; move pictures of the other classes there"),
                seen.mask_names(masks),
            )


def _rare(table: ClassTable) -> Iterator[Finding]:
    pixels = table.pixels.get("train", ())
    known = sum(pixels)
    rare = [
        message(
            "{i} {known:.2g} % in {i2} pictures",
            i=table.names[i],
            known=100 * n / known,
            i2=table.pictures["train"][i],
        )
        for i, n in enumerate(pixels)
        if 0 < n < RARE * known
    ]
    if rare:
        most = max(range(len(pixels)), key=pixels.__getitem__)
        yield Finding(
            "note",
            "class-rare",
            message(
                "train is {known:.4g} % {most}, and has little of {rare}: a network may"
                " never say it, and yet be right nearly everywhere",
                known=100 * pixels[most] / known,
                most=table.names[most],
                rare=joined(", ", rare),
            ),
            message(
                "look at the IoU of each class, and take --class-weights auto or --loss ce+dice"
            ),
        )


def _weighs(table: ClassTable, i: int) -> bool:
    """Whether a class that train lacks is a good part of another split."""
    enough = any(n for n in table.pictures.get("train", ())) and max(table.pictures["train"]) >= 4
    return enough and any(p[i] > 0.02 * sum(p) for p in table.pixels.values() if sum(p))


def _empty(seen: Seen) -> Iterator[Finding]:
    masks = seen.masks(lambda m: m.counts and not m.error and not m.unlisted)
    everything = counted(len(masks), "mask")
    if not masks:
        return
    empty = [f for f, m in masks if not any(m.counts)]
    if empty:
        share = len(empty) / len(masks)
        yield Finding(
            "stop" if share == 1 else "warn" if share > 0.1 else "note",
            "mask-empty",
            message(
                "{empty} of {everything} have no pixel that counts",
                empty=len(empty),
                everything=everything,
            ),
            message("label them, or remove them"),
            seen.mask_names(empty),
        )
    constant = [(f, m) for f, m in masks if sum(n > 0 for n in m.counts) == 1 and not m.ignored]
    if constant:
        kinds = {next(i for i, n in enumerate(m.counts) if n) for _, m in constant}
        whole = len(constant) == len(masks) and len(kinds) == 1
        share = len(constant) / len(masks)
        yield Finding(
            "stop" if whole else "warn" if share > 0.8 else "note",
            "mask-constant",
            message(
                "{constant} of {everything} are of one class everywhere",
                constant=len(constant),
                everything=everything,
            ),
            message("check how they were saved; there is nothing to tell apart")
            if whole
            else message("nothing, if the others' things are really absent there"),
            seen.mask_names([f for f, _ in constant]),
        )
    pixels = sum(sum(m.counts) + m.ignored for _, m in masks)
    ignored = sum(m.ignored for _, m in masks)
    if ignored > MUCH_IGNORED * pixels and len(empty) < len(masks):
        yield Finding(
            "warn",
            "much-ignored",
            message("{pixels:.3g} % of all pixels are ignored", pixels=100 * ignored / pixels),
            message("check `map` and `ignore_index`, if more of them were labelled"),
        )


def _small(table: ClassTable) -> Iterator[Finding]:
    for stride in STRIDES:
        lost = [
            f"{name} {100 * share:.0f} %"
            for name, share in zip(table.names, table.lost[stride], strict=True)
            if share is not None and share > 0.5
        ]
        if lost:
            yield Finding(
                "note",
                "small-regions",
                message(
                    "more than half of the regions are smaller than {stride} x {stride}"
                    " pixels in: {lost}",
                    stride=stride,
                    lost=", ".join(lost),
                ),
                message(
                    "take a network whose output stride is below {stride}, or larger pictures",
                    stride=stride,
                ),
            )
            return


def _crops(seen: Seen, table: ClassTable) -> Iterator[Finding]:
    """What a crop of the usual size leaves out of train's pictures."""
    areas = sorted(
        (p.height * p.width, p.height, p.width)
        for f, p in seen.pictures(lambda p: p.height and p.width)
        if f.split == "train"
    )
    if not areas:
        return
    area, height, width = areas[len(areas) // 2]
    share = min(height, CROP) * min(width, CROP) / area
    if share > PART:
        return
    bins = 2 * (CROP.bit_length() - 1)
    lost = []
    for i, name in enumerate(table.names):
        sizes = [m.regions[i] for _, m in seen.masks(lambda m: m.regions) if i in m.regions]
        larger = sum(sum(s[bins:]) for s in sizes)
        if larger:
            lost.append(
                message(
                    "{name} {larger} of {all}", name=name, larger=larger, all=sum(map(sum, sizes))
                )
            )
    never = (
        message("; regions larger than it are never seen whole: {lost}", lost=joined(", ", lost))
        if lost
        else ""
    )
    factor = (area**0.5) / (2 * CROP)
    yield Finding(
        "note",
        "crop-loses",
        message(
            "a crop of {crop} x {crop}, as training takes them, shows {share:.2g} %"
            " of a usual picture ({height} x {width}){never}",
            crop=CROP,
            share=100 * share,
            height=height,
            width=width,
            never=never,
        ),
        message(
            "where things are large or need their surroundings, take --crop"
            " {crop}x{crop} if memory allows, or save pictures and masks {amount:.2g}"
            " times smaller",
            crop=2 * CROP,
            amount=max(1.5, factor),
        ),
    )
