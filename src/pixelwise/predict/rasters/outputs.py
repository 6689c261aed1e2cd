"""Files that appear when they are whole, and take the place of no file that is not ours."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pixelwise.errors import InputError
from pixelwise.outputs import alone


def check_output(
    path: Path, kinds: tuple[str, ...], read: Path | None, is_ours: Callable[[Path], bool]
) -> Path:
    """The path of a file that can be written.

    Args:
        path: The file.
        kinds: What its name may end in.
        read: A file that is read, and must stay.
        is_ours: Whether pixelwise wrote a file.

    Raises:
        InputError: Another kind of file, no folder for it, the file that is read, or not ours.
    """
    if path.suffix.lower() not in kinds:
        raise InputError(f"{path}: must end in {' or '.join(kinds)}; choose another name")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or choose another")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if read is not None and same(path, read):
        raise InputError(f"{path}: is the raster that is read; choose another file")
    if path.exists() and not is_ours(path):
        raise InputError(
            f"{path}: stands there, and pixelwise did not write it; choose another file, or move"
            " it away"
        )
    return path


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, or would be."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A place for a file until it is whole; it is kept for this process.

    Raises:
        InputError: Another process writes the file; it cannot be written.
    """
    folder = path.with_name(f".{path.name}.unfinished")
    partial = folder / path.name
    try:
        folder.mkdir(exist_ok=True)
        with alone(folder):
            for old in folder.glob(f"{path.name}*"):  # of a process that was killed
                old.unlink()
            try:
                yield partial
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
                partial.replace(path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be written ({reason}); free some space, or choose another file"
        ) from error
