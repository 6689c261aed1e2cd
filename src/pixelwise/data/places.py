"""Where the pictures of a split are told: a folder, a .txt list of names, or a pattern of files."""

from pathlib import Path, PurePosixPath

from pixelwise.errors import InputError

MARKS = "*?["
LISTED = 3
"""So many names that lead nowhere are told."""


def is_list(place: str) -> bool:
    """Whether it is a list of names."""
    return place.lower().endswith(".txt") and not any(mark in place for mark in MARKS)


def fixed_part(place: str) -> str:
    """The folder before the first part of a pattern that has a star; a folder itself."""
    parts = PurePosixPath(place).parts
    at = next((i for i, part in enumerate(parts) if any(mark in part for mark in MARKS)), None)
    return place if at is None else str(PurePosixPath(*parts[:at]))


def matching(root: Path, place: str) -> set[Path] | None:
    """The files that a pattern means; None for a folder, which means all in it."""
    fixed = fixed_part(place)
    if fixed == place:
        return None
    pattern = PurePosixPath(place).relative_to(fixed)
    return {file for file in (root / fixed).glob(str(pattern)) if file.is_file()}


def read_list(file: Path) -> list[tuple[int, str]]:
    """(line number, text) of the lines of a list that are neither empty nor comments.

    Raises:
        InputError: It cannot be read, or has no line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(f"{file}: lists no picture; write a name per line")
    return lines


class Named:
    """Finds the files that the lines of a list name.

    Args:
        roots: Folders that names may be relative to, the likeliest first.
        suffixes: Tried where a name has none of them.
    """

    def __init__(self, roots: tuple[Path, ...], suffixes: frozenset[str]) -> None:
        self._roots, self._suffixes = roots, suffixes
        self._inside: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Path | None:
        """The file of a name, with or without its suffix; None: there is none.

        Raises:
            InputError: Files of several suffixes have this name.
        """
        text = name.strip().replace("\\", "/").lstrip("/")
        if not text or "\0" in text:
            return None
        for root in self._roots:
            file = root / text
            if PurePosixPath(text).suffix.lower() in self._suffixes:
                if _is_file(file):
                    return file
                continue
            found = self._of(file.parent).get(file.name, [])
            if len(found) > 1:
                raise InputError(f"{name!r} may be {found[0].name} or {found[1].name}; keep one")
            if found:
                return found[0]
        return None

    def _of(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._inside:
            inside: dict[str, list[Path]] = {}
            for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                if file.suffix.lower() in self._suffixes:
                    inside.setdefault(file.stem, []).append(file)
            self._inside[folder] = inside
        return self._inside[folder]


def lost(file: Path, names: list[str], count: int, roots: tuple[Path, ...]) -> InputError:
    """The error for a list of which some names lead nowhere."""
    shown = ", ".join(names[:LISTED]) + ", ..." * (len(names) > LISTED)
    where = " or ".join(map(str, dict.fromkeys(roots)))
    return InputError(
        f"{file}: {len(names)} of {count} names have no file in {where}: {shown}; add the files, or"
        " correct the list"
    )


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that no file can have
        return False
