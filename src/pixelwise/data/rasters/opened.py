"""Files that are opened where they are read: once in each process, and not too many at a time."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MOST = 32
"""Rasters that a process has open."""


class Opened:
    """What is open in this process, the last used first to stay.

    What another process opened is never used: the two would move each other's place in the file.
    """

    def __init__(self) -> None:
        self._process, self._files = 0, OrderedDict[object, Any]()

    def get(self, key: object, make: Callable[[], Any]) -> Any:
        """What `make` opens, opened before or now."""
        if self._process != os.getpid():
            self._process, self._files = os.getpid(), OrderedDict()
        if key not in self._files:
            self._files[key] = make()
            if len(self._files) > MOST:
                self._files.popitem(last=False)
        self._files.move_to_end(key)
        return self._files[key]

    def __getstate__(self) -> dict[str, Any]:
        return {"_process": 0, "_files": OrderedDict()}
