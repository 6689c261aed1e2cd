"""The flow of data through a function: few boxes, with arrows that say the shape of what passes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from building.gallery.joining import Box, chained, given_to, grouped, repeated, told_apart
from building.gallery.sizes import RUNS, shape
from building.gallery.steps import Record, Step
from building.gallery.wording import wording

Sizes = Sequence[Mapping[str, int]]


@dataclass(frozen=True)
class Arrow:
    """What passes from a box to another."""

    source: int
    target: int
    shape: str
    skips: bool = False
    """Whether it passes by what others go through."""


@dataclass(frozen=True)
class Flow:
    """Boxes in the order of the steps, and arrows between them by their places in the list."""

    boxes: list[Box]
    arrows: list[Arrow]


class Uneven(ValueError):
    """The runs with other sizes did not take the same steps."""


def flow(
    runs: Sequence[Record],
    constants: Mapping[int, str] | None = None,
    sizes: Sizes = RUNS,
) -> Flow:
    """The flow that several runs of one function have in common; shapes are named by all runs.

    Args:
        runs: One for each of `sizes`.
        constants: Names of sizes that are the same in all runs.
        sizes: The sizes of the runs.

    Raises:
        Uneven: The runs did not take the same steps.
    """
    taken = [[step.what for step in run.steps] for run in runs]
    if any(other != taken[0] for other in taken[1:]):
        raise Uneven("the steps depend on the sizes")
    needed = _needed(runs[0])
    boxes = {
        number: Box(*_worded(steps, constants, sizes), (number,))
        for number, steps in enumerate(zip(*(run.steps for run in runs), strict=True))
        if number in needed
    }
    end = len(runs[0].steps)
    for number, name in enumerate(runs[0].results, end):
        boxes[number] = Box("output", (name,), (number,))
    boxes = chained(boxes, runs[0])
    boxes = repeated(boxes, runs[0])
    boxes = told_apart(boxes, runs[0].steps)
    boxes = grouped(boxes, runs[0].steps)
    return _connected(list(boxes.values()), runs, sizes, constants)


def _worded(
    steps: Sequence[Step], constants: Mapping[int, str] | None, sizes: Sizes
) -> tuple[str, tuple[str, ...]]:
    kind, lines = wording(steps, constants, sizes)
    return kind, tuple(line for line in lines if line)


def _needed(run: Record) -> set[int]:
    """Steps that the result comes from, and the inputs."""
    inputs = {number for number, step in enumerate(run.steps) if step.what == "input"}
    needed, todo = set(inputs), [given.step for given in run.results.values()]
    while todo:
        number = todo.pop()
        if number is not None and number not in needed:
            needed.add(number)
            todo += [given.step for given in run.steps[number].given]
    return needed


def _connected(
    boxes: list[Box], runs: Sequence[Record], sizes: Sizes, constants: Mapping[int, str] | None
) -> Flow:
    where = {step: place for place, box in enumerate(boxes) for step in box.steps}
    found: dict[tuple[int, int, str], None] = {}
    for place, box in enumerate(boxes):
        for number in box.steps:
            for same in zip(*(given_to(run, number) for run in runs), strict=True):
                source = same[0].step
                if source is not None and where[source] != place:
                    shapes = [one.shape for one in same]
                    found[where[source], place, shape(shapes, sizes, constants)] = None
    single = {(source, target): said for source, target, said in reversed(found)}
    arrows = [Arrow(*ends, said) for ends, said in sorted(single.items())]
    return Flow(boxes, [replace(arrow, skips=_skips(arrow, arrows)) for arrow in arrows])


def _skips(arrow: Arrow, arrows: list[Arrow]) -> bool:
    """Whether there is a longer way from the arrow's source to its target."""
    todo, seen = [arrow.source], set()
    while todo:
        place = todo.pop()
        for other in arrows:
            if other.source == place and other != arrow and other.target not in seen:
                if other.target == arrow.target:
                    return True
                seen.add(other.target)
                todo.append(other.target)
    return False
