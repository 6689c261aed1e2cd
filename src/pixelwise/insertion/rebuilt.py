"""Hosts that their trainers build anew: a new network, without what was inserted into the old one.

Such a host carries the recipe that it was built from, a dict named `yaml` (Ultralytics and other
YOLO code). Its trainer copies the recipe, builds a network from the copy, and takes the weights
over by name; the insertions would be lost without a word. An entry in the recipe stops that copy.
An Ultralytics `YOLO` object that holds the host may build from a file instead of the recipe, so it
also looks at the new network before the training starts.
"""

import gc
import textwrap
from typing import Any

from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.attached import Insertions

RECIPE, ENTRY = "yaml", "inserted"
BUILT = "on_pretrain_routine_end"
"""The moment when an Ultralytics trainer has its network."""


class Note(str):
    """The entry in a recipe: what was inserted. A copy of the recipe alone is refused."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Note":
        if not any(issubclass(type(copied), nn.Module) for copied in memo.values()):
            raise lost(self)
        return self  # the host itself is copied, and its insertions with it


class Look:
    """A callback of a `YOLO` object: its trainer trains no network that lacks the insertions."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __call__(self, trainer: Any) -> None:
        """Compare the trainer's network with that of the `YOLO` object.

        Raises:
            InputError: The insertions are not in it.
        """
        note = note_of(self.owner.model)
        if note and not any(note_of(module) for module in trainer.model.modules()):
            raise lost(note)


def lost(what: str) -> InputError:
    """What to tell a user whose trainer would lose the insertions `what`."""
    told = textwrap.shorten(what, 80, placeholder="...")
    return InputError(
        f"insert='{told}': the trainer builds a new network without these layers; train with"
        " trainer=pixelwise.hosts.ultralytics.trainer(yolo), or put them into the new network with"
        " pixelwise.insert(new, old)"
    )


def note_of(host: object) -> str | None:
    """What was inserted into a host that has a recipe, if anything."""
    recipe = getattr(host, RECIPE, None)
    return recipe.get(ENTRY) if isinstance(recipe, dict) else None


def without_note(recipe: Any) -> Any:
    """A recipe (or a file's name, or None) that may be copied."""
    if not isinstance(recipe, dict):
        return recipe
    return {name: value for name, value in recipe.items() if name != ENTRY}


def guard(host: nn.Module, insertions: Insertions | None) -> None:
    """Let no trainer build a host anew without its insertions; one without recipe stays as it is.

    The recipe is replaced, not changed: another network may have the same one.
    """
    recipe = vars(host).get(RECIPE)
    if not isinstance(recipe, dict):
        return
    vars(host)[RECIPE] = without_note(recipe)
    if insertions is not None:
        places = (attached.place for attached in insertions.attached())
        vars(host)[RECIPE][ENTRY] = Note("; ".join(f"{one.key}@{one.name}" for one in places))
        for owner in _owners(host):
            watch(owner)


def watch(owner: Any) -> None:
    """Let a `YOLO` object look at the network of its trainer; once is enough."""
    callbacks = owner.callbacks.setdefault(BUILT, [])
    if not any(isinstance(one, Look) for one in callbacks):
        callbacks.append(Look(owner))


def _owners(host: nn.Module) -> list[Any]:
    """The objects with callbacks that hold a host as their network: usually one `YOLO` object."""
    modules = [one for one in gc.get_objects() if issubclass(type(one), nn.Module)]
    return [
        one
        for one in modules
        if isinstance(vars(one).get("callbacks"), dict)
        and any(child is host for child in vars(one).get("_modules", {}).values())
    ]
