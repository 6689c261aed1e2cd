"""What a command may write: nothing is replaced that it did not write itself.

A folder of results has a hidden list of what a command wrote there: sums and names. While the
command runs, it holds a lock on that list. A lock belongs to its process, so that none is left
behind where one is killed.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pixelwise.errors import InputError

LOOKED = 0.2
"""Seconds between two trials to have a folder."""
UNFINISHED = "unfinished"
"""Stands for the sum of a file that is being written."""


def is_running(process: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


class Outputs:
    """The files of one command in a folder, which is made if need be and kept for this process.

    Args:
        folder: Where results go.
        command: Who writes, e.g. "predict".
        option: How another folder is chosen, for messages.

    Raises:
        InputError: On entry, where another process writes there or the folder cannot be made.
    """

    def __init__(self, folder: Path, command: str, option: str = "--out") -> None:
        self.folder = folder
        self._path = folder / f".pixelwise-{command}.txt"
        self._command, self._option = command, option
        self._known: dict[str, str] = {}
        self._list: IO[str]

    def __enter__(self) -> "Outputs":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._list = self._path.open("a+", encoding="ascii")
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another"
                f" {self._option}"
            ) from error
        if not locked(self._list):
            self._list.close()
            raise InputError(
                f"{self.folder}: another `pixelwise {self._command}` is writing there; wait for"
                f" it, or choose another {self._option}"
            )
        self._list.seek(0)
        for line in self._list:
            number, _, name = line.partition(" ")
            with suppress(ValueError):  # of a line that a kill cut off
                self._known[json.loads(name)] = number
        return self

    def __exit__(self, *_: object) -> None:
        if not self._known:
            self._path.unlink(missing_ok=True)
        self._list.close()

    def check(self, names: Iterable[str]) -> None:
        """Make sure that files of these names can be written.

        Raises:
            InputError: One stands there that the command did not write, or that was changed since.
        """
        for name in names:
            file = self.folder / name
            if not (file.is_symlink() or file.exists()):
                continue
            known = self._known.get(name)
            if known != UNFINISHED and (not file.is_file() or _sum(file) != known):
                raise InputError(
                    f"{file}: stands there, and not as `pixelwise {self._command}` wrote it;"
                    f" choose another {self._option}, or move it away"
                )

    @contextmanager
    def writing(self, *names: str) -> Iterator[None]:
        """Check the names, and note the files that are written inside of the block."""
        self.check(names)
        for name in names:
            self._note(UNFINISHED, name)
        yield
        self.note(names)

    def note(self, names: Iterable[str]) -> None:
        """Note files that the command has written."""
        for name in names:
            self._note(_sum(self.folder / name), name)

    def _note(self, number: str, name: str) -> None:
        self._known[name] = number
        self._list.write(f"{number} {json.dumps(name)}\n")
        self._list.flush()


def check_before(folder: Path, command: str, names: Iterable[str]) -> None:
    """`Outputs.check` before long work; makes no folder."""
    if folder.is_dir():
        with Outputs(folder, command) as outputs:
            outputs.check(names)


@contextmanager
def alone(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Keep a run's folder for this process.

    Args:
        folder: The run's.
        patience: Seconds to wait for another process that ends.

    Raises:
        InputError: Another process is at work there.
    """
    with (folder / ".pixelwise.lock").open("a+", encoding="ascii") as file:
        until = time.monotonic() + patience
        while not (free := locked(file)) and time.monotonic() < until:
            time.sleep(LOOKED)
        if not free:
            file.seek(0)
            holder = file.read(20).strip()
            raise InputError(
                f"{folder}: process {holder} is at work on this run; wait until it ends"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


def locked(file: IO[str]) -> bool:
    """Take a lock that processes which load pictures do not inherit."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


def refuse_used(folder: Path, remedy: str) -> None:
    """Raise an InputError where a folder that is to be new holds anything."""
    try:
        used = folder.exists() and (
            not folder.is_dir()
            or any(not p.name.startswith(".pixelwise") for p in folder.iterdir())
        )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); {remedy}") from error
    if used:
        raise InputError(f"{folder}: exists and is not empty; {remedy}")


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
