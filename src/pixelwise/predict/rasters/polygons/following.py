"""Polygons and areas of what a network answers, drawn when its raster of classes is there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise.data.rasters.files import open_raster
from pixelwise.errors import InputError
from pixelwise.predict.rasters.polygons.drawing import Drawing, Meaning, draw
from pixelwise.predict.rasters.polygons.polygons import Say, choose
from pixelwise.predict.rasters.sink import Progress
from pixelwise.tasks.base import Task


def meaning_of(task: Task, of: str | Sequence[str | int] | None) -> Meaning:
    """What the answers of a task mean.

    Args:
        task: Whose answers are drawn.
        of: The classes that are drawn; by default all, of two the second.

    Raises:
        InputError: Answers are no classes.
    """
    if task.data not in ("classes", "labels"):
        raise InputError(
            f"task={task.key!r}: gives no classes, so there is nothing to draw; leave out polygons"
            " and areas"
        )
    labels = task.data == "labels"
    bands = task.bands()
    names = bands.names if labels else bands.classes
    drawn = (1,) if task.key == "binary" else tuple(range(len(names)))
    return choose(Meaning(names, drawn, labels), of)


def drawn_from(
    classes: Path | None, drawing: Drawing, meaning: Meaning, say: Say
) -> tuple[Callable[[Progress], None], Path]:
    """What draws, and the raster of classes that it draws from.

    Args:
        classes: That raster; None: one is made and removed again.
        drawing: What is made.
        meaning: What the classes mean.
        say: Takes a line on what was made.
    """
    first = drawing.polygons or drawing.areas
    assert first is not None
    path = classes or first.with_name(f".{first.name}.classes.tif")

    def follow(progress: Progress) -> None:
        with open_raster(path) as file:
            counts = draw(file, meaning, drawing, progress)
        if drawing.polygons is not None:
            say(f"{counts.total()} polygons: {drawing.polygons}")
        if drawing.areas is not None:
            say(f"areas: {drawing.areas}")
        if classes is None:
            path.unlink()
            path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)

    return follow, path
