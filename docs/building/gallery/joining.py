"""Joins steps that belong together in one box, until a figure has few enough."""

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from building.gallery.steps import Call, Given, Record, Step

MOST = 22
"""Boxes; beyond, helpers and modules of several steps become one box each."""
OUTERMOST = ("forward", "plain", "with_auxiliary")
"""What a module is run by; as a whole it is never one box."""
LEAST = 6
"""A helper that would leave fewer boxes stays open."""


@dataclass(frozen=True)
class Box:
    """One step, or several that belong together."""

    kind: str
    lines: tuple[str, ...]
    steps: tuple[int, ...]
    says: str = ""
    """What a helper says of itself, where it is one."""


def given_to(run: Record, number: int) -> list[Given]:
    """What a step is given; behind the steps come the results."""
    if number < len(run.steps):
        return run.steps[number].given
    return [list(run.results.values())[number - len(run.steps)]]


def heard_by(run: Record, number: int) -> set[int]:
    """The steps whose results a step is given."""
    return {given.step for given in given_to(run, number) if given.step is not None}


def chained(boxes: dict[int, Box], run: Record) -> dict[int, Box]:
    """Norms, activations and constant factors join the box that alone they hear."""
    hearers = Counter(source for number in boxes for source in heard_by(run, number))
    owner: dict[int, int] = {}
    joined = dict(boxes)
    for number, box in boxes.items():
        if box.kind not in ("norm", "activation", "scale"):
            continue
        (source,) = heard_by(run, number)
        before = owner.get(source, source)
        lone = hearers[source] == 1 and before in joined
        lone = lone and _count(run.steps[number]) == _count(run.steps[source])
        if lone and joined[before].kind not in ("input", "pair", "move"):
            old = joined[before]
            lines = old.lines
            if old.kind == "convolution" and box.kind == "activation" and len(lines) > 2:
                lines = (*lines[:-1], f"{lines[-1]}, {box.lines[0]}")
            else:
                lines = (*lines, *box.lines)
            joined[before] = replace(old, lines=lines, steps=(*old.steps, number))
            owner[number] = before
            del joined[number]
    return joined


def _count(step: Step) -> int:
    return math.prod(step.shape)


def repeated(boxes: dict[int, Box], run: Record) -> dict[int, Box]:
    """Two convolutions of one name in a row are one box."""
    joined = dict(boxes)
    for number, box in boxes.items():
        owners = [
            place for place, other in joined.items() if heard_by(run, number) & set(other.steps)
        ]
        if box.kind != "convolution" or len(owners) != 1:
            continue
        (before,) = owners
        inner = set(joined[before].steps)
        hearers = [
            step
            for other in joined.values()
            for step in other.steps
            if step not in inner and heard_by(run, step) & inner
        ]
        alike = joined[before].lines == box.lines and _named_alike(before, number, run)
        if alike and len(hearers) == 1:
            both = (*joined[before].steps, *box.steps)
            joined[before] = replace(box, lines=(*box.lines, "twice"), steps=both)
            del joined[number]
    return joined


def told_apart(boxes: dict[int, Box], steps: list[Step]) -> dict[int, Box]:
    """Parts of one name in several modules have the module's name in front of it."""
    words: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for number, box in boxes.items():
        if number < len(steps) and steps[number].name and box.kind == "convolution":
            parts = [part for part in steps[number].name.split(".") if not part.isdigit()]
            words[box.lines[0]].append((number, parts))
    told = dict(boxes)
    for name, found in words.items():
        owners = {parts[-2] for _, parts in found if len(parts) > 1}
        if len(owners) < 2:
            continue
        for number, parts in found:
            if len(parts) > 1:
                lines = (f"{parts[-2]}: {name}", *boxes[number].lines[1:])
                told[number] = replace(boxes[number], lines=lines)
    return told


def _named_alike(one: int, other: int, run: Record) -> bool:
    names = [re.sub(r"\.\d+", "", run.steps[number].name) for number in (one, other)]
    return names[0] == names[1]


def grouped(boxes: dict[int, Box], steps: list[Step]) -> dict[int, Box]:
    """Put calls of one helper into one box each, until there are few enough."""
    while len(boxes) > MOST + 2:
        members: dict[Call, list[int]] = defaultdict(list)
        for number, box in boxes.items():
            for call in steps[number].within if number < len(steps) else ():
                if not call.name and call.function in OUTERMOST:
                    continue
                if all(call in steps[one].within for one in box.steps):
                    members[call].append(number)
        kinds: dict[tuple[str, str], int] = Counter()
        for call, numbers in members.items():
            kinds[_kind(call)] += len(numbers) - 1
        possible = [
            kind for kind, saved in kinds.items() if saved >= 2 and len(boxes) - saved >= LEAST
        ]
        if not possible:
            return boxes
        enough = [kind for kind in possible if len(boxes) - kinds[kind] <= MOST + 2]
        chosen = (
            min(enough, key=lambda kind: kinds[kind])
            if enough
            else max(possible, key=lambda kind: kinds[kind])
        )
        for call in sorted(members, key=lambda call: len(call.name)):
            numbers = [number for number in members[call] if number in boxes]
            if _kind(call) == chosen and len(numbers) > 1:
                first, *others = numbers
                inner = tuple(step for number in numbers for step in boxes[number].steps)
                boxes[first] = Box("group", _titled(call), inner, call.says)
                for number in others:
                    del boxes[number]
    return boxes


def _kind(call: Call) -> tuple[str, str]:
    return call.function, type(call.module).__name__ if call.module is not None else ""


def _titled(call: Call) -> tuple[str, ...]:
    title = getattr(type(call.module), "title", "") if call.module is not None else ""
    own = call.name.split(".")[-1] if call.function in ("forward", "plain") else call.function
    name = own.strip("_").replace("_", " ")
    if not name or name.isdigit():
        name = ""
    return tuple(line for line in (name, title.lower()) if line) or (call.function.strip("_"),)
