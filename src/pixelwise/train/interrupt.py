"""What ends a run early: Ctrl-C and SIGTERM, between two steps, and what makes no sense."""

import signal
import time
from pathlib import Path
from types import FrameType


class Interrupted(Exception):
    """The run was asked to stop; its state is saved. `exit_code` is what the process returns."""

    def __init__(self, number: int, step: int, run: Path) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.step = step
        self.run = run


class Stopped(Exception):
    """Training cannot go on; the message says why and what is left."""


SAME = 2.0
"""Of several processes, a launcher repeats the signal within so many seconds."""


class StopSignals:
    """While active, the first SIGINT or SIGTERM is remembered; a second one acts at once.

    Args:
        repeated: Whether whoever started this process sends the same signal once more.
    """

    def __init__(self, *, repeated: bool = False) -> None:
        self.received: int | None = None
        self._pause = SAME if repeated else 0.0
        self._at = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def soon(self) -> int | None:
        """The signal that was received, or is within half a second."""
        end = time.monotonic() + 0.5
        while self.received is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.received

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if time.monotonic() - self._at < self._pause:
                return
            self.__exit__(None, None, None)
            signal.raise_signal(number)
        self.received, self._at = number, time.monotonic()
