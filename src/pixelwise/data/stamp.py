"""A text that changes when files do."""

from collections.abc import Iterable
from pathlib import Path


def stamp(files: Iterable[Path | None], *about: object) -> str:
    """Where files are, how large, of when; and what else decides what is read of them."""
    told = []
    for file in files:
        if file is not None:
            found = file.stat()
            told.append((str(file.resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return repr((told, *about))
