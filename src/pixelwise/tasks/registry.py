"""The tasks by name; others come from packages that name theirs under "pixelwise.tasks"."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from pixelwise.errors import InputError, unknown

if TYPE_CHECKING:
    from pixelwise.tasks.base import Described, Task

OWN = {
    "multiclass": "pixelwise.tasks.multiclass:Multiclass",
    "binary": "pixelwise.tasks.binary:Binary",
    "multilabel": "pixelwise.tasks.multilabel.task:Multilabel",
    "keypoints": "pixelwise.tasks.keypoints.task:Keypoints",
    "regression": "pixelwise.tasks.regression.task:Regression",
}
"""Task -> where it stands; names are known without loading torch."""
FOR_DATA = {
    "classes": "multiclass",
    "labels": "multilabel",
    "points": "keypoints",
    "values": "regression",
}
"""The usual task of each kind of data set."""


def available() -> tuple[str, ...]:
    """The names of all tasks."""
    return (*OWN, *(entry.name for entry in entry_points(group="pixelwise.tasks")))


def task_class(name: str) -> "type[Task]":
    """The task of that name.

    Raises:
        InputError: There is none, or that of another package cannot be loaded.
    """
    if name in OWN:
        module, _, attribute = OWN[name].partition(":")
        found: type[Task] = getattr(import_module(module), attribute)
        return found
    for entry in entry_points(group="pixelwise.tasks", name=name):
        try:
            loaded: type[Task] = entry.load()
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"task={name!r}: {entry.value} cannot be loaded ({error}); install it again"
            ) from error
        return loaded
    raise unknown("task", name, available())


def task_of(name: str, described: "Described") -> "Task":
    """The task of that name for a network."""
    return task_class(name)(described)
