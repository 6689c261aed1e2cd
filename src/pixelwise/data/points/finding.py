"""Pictures on disk, by the names that labels have for them."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from pixelwise.data.listing import is_hidden
from pixelwise.data.reading import PICTURE_SUFFIXES


class Pictures:
    """Pictures by what labels may call them: in another case too, or with other accents' codes."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = {}
        for file in files:
            self._by_name.setdefault(_alike(file.name), []).append(file)

    def find(self, name: Path, *, alone: bool) -> list[Path]:
        """The pictures whose paths end as `name` does.

        Args:
            name: As the labels have it.
            alone: Whether no other label has this base name: then it is enough.
        """
        candidates = self._by_name.get(_alike(name.name), [])
        parts = tuple(part for part in name.parts if part not in {"..", "."})
        near = [f for f in candidates if _ends(f, parts) == tuple(map(_alike, parts))]
        exact = [file for file in near if file.parts[-len(parts) :] == parts]
        same = [file for file in candidates if file.name == name.name] or candidates
        return exact or near or (same if alone else [])


def _alike(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _ends(file: Path, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_alike, file.parts[-len(parts) :]))


def pictures_below(folder: Path) -> list[Path]:
    """The pictures of a folder and of those in it."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(file.relative_to(folder))
    )
