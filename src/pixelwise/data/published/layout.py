"""What a layout is: what has to lie in a folder, and the data.yaml that follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pixelwise.data.listing import is_hidden

Content = dict[str, Any]
"""What a data.yaml says."""


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk.

    Args:
        title: For people.
        needs: What has to be there: folders, files or patterns, with alternatives behind "|".
        describe: From the folder, the data.yaml without `path`.
        without: What is not there, since it would be another layout.
        loose: Others fit the same folders: it is taken where it is the only one.
    """

    title: str
    needs: Sequence[str]
    describe: Callable[[Path], Content]
    without: Sequence[str] = ()
    loose: bool = False

    def lacking(self, root: Path) -> list[str]:
        """What is not there of what it needs."""
        return [need for need in self.needs if first(root, need) is None]

    def fits(self, root: Path) -> bool:
        """Whether all that it needs is there, and nothing of another layout."""
        return not self.lacking(root) and not any(first(root, other) for other in self.without)


def first(root: Path, alternatives: str) -> str | None:
    """The first of some places that is there."""
    for place in alternatives.split("|"):
        if any(mark in place for mark in "*?["):
            if any(not is_hidden(found.relative_to(root)) for found in root.glob(place)):
                return place
        elif (root / place).exists():
            return place
    return None


def first_of(root: Path, alternatives: str) -> str:
    """The first of some places of which one is there."""
    found = first(root, alternatives)
    assert found is not None
    return found


def splits(root: Path, places: Mapping[str, tuple[str, str]]) -> Content:
    """The keys of splits that are there, from split -> (folder of pictures, that of its masks)."""
    there = {
        split: pair
        for split, pair in places.items()
        if all((root / folder).is_dir() for folder in pair)
    }
    return {
        **{split: pictures for split, (pictures, _) in there.items()},
        "masks_dir": dict(there.values()),
    }


def table(name: str) -> dict[int, str]:
    """Raw value -> name of a class, from a file of `names`."""
    text = (files("pixelwise.data.published") / "names" / f"{name}.txt").read_text("utf-8")
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {int(value): called for value, called in pairs}


def numbered(values: Mapping[int, str], *ignored: int) -> Content:
    """Names and map of masks whose values are not the ids."""
    names = [*values.values()]
    known = {value: i for i, value in enumerate(values)}
    return {"names": names, "map": {**dict.fromkeys(ignored, "ignore"), **known}}


def two_values(name: str) -> Content:
    """Names and map of masks with 0 and 255."""
    return {"names": ["background", name], "map": {0: 0, 255: 1}}
