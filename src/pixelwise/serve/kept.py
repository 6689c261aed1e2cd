"""Pictures that are open: the latest few, as much as memory is granted."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixelwise.errors import InputError
from pixelwise.serve.seeing import Seen

MOST = 12
BYTES = 2 * 2**30


@dataclass(frozen=True, eq=False)
class Open:
    """An open picture.

    Args:
        name: For people, and for the names of saved files.
        file: What it was read from.
        seen: By each network.
        notes: Lines for people.
        index: In the list; None of a picture that was sent.
        drop: Called when it is kept no more.
    """

    name: str
    file: Path
    seen: tuple[Seen, ...]
    notes: tuple[str, ...]
    index: int | None
    drop: Callable[[], None]

    @property
    def bytes(self) -> int:
        """What it holds in memory."""
        return sum(one.kept for one in self.seen)


class Kept:
    """The open pictures, the least recently asked for first. Any thread may ask.

    Args:
        most: Pictures at most.
        limit: Bytes at most; the latest picture stays, whatever it takes.
    """

    def __init__(self, most: int = MOST, limit: int = BYTES) -> None:
        self._most, self._limit = most, limit
        self._open: OrderedDict[str, Open] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, picture: Open) -> str:
        """Keep a picture; returns the name by which it is asked for."""
        name, dropped = secrets.token_hex(8), []
        with self._lock:
            self._open[name] = picture
            total = sum(one.bytes for one in self._open.values())
            while len(self._open) > 1 and (len(self._open) > self._most or total > self._limit):
                _, oldest = self._open.popitem(last=False)
                total -= oldest.bytes
                dropped.append(oldest)
        for one in dropped:
            one.drop()
        return name

    def get(self, name: str) -> Open:
        """An open picture.

        Raises:
            InputError: It is not open, or no more.
        """
        with self._lock:
            found = self._open.get(name)
            if found is None:
                raise InputError(f"picture={name[:20]!r}: is not open any more; open it again")
            self._open.move_to_end(name)
            return found

    def of_index(self, index: int) -> str | None:
        """The name of an open picture of the list, if it is open."""
        with self._lock:
            for name, one in self._open.items():
                if one.index == index:
                    self._open.move_to_end(name)
                    return name
        return None

    def clear(self) -> None:
        """Drop all pictures."""
        with self._lock:
            dropped = list(self._open.values())
            self._open.clear()
        for one in dropped:
            one.drop()
