"""One logger in a thread of its own, so that training never waits for a server."""

import json
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixelwise.errors import in_one_line
from pixelwise.train.loggers.base import About, Begun, Logger

FOLDER = "loggers"
"""Holds, by logger, what it needs to go on with a run, and how far it has been sent."""
PARTS = {"train": -1, "val": -1}
LONGEST = 160


class Follower:
    """Sends what it is handed, until the logger fails; says so once.

    Args:
        name: Of the logger.
        logger: Where to.
        run: The run's folder.
    """

    def __init__(self, name: str, logger: Logger, run: Path) -> None:
        self.name, self.logger = name, logger
        self._file = run / FOLDER / f"{name}.json"
        self._kept: dict[str, str] = {}
        self.sent = dict(PARTS)
        """The last step that was sent, of training and of evaluations."""
        self._read()
        self._failure: str | None = None
        self._told = False
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._go, name=f"logger {name}", daemon=True)

    def begin(self, about: About, seconds: float) -> str:
        """Begin; where people look.

        Raises:
            TimeoutError: The logger does not answer.
            Exception: Whatever it raises.
        """
        answer: queue.SimpleQueue[Begun | Exception] = queue.SimpleQueue()

        def begin() -> None:
            try:
                answer.put(self.logger.begin(replace(about, kept=self._kept)))
            except Exception as error:
                answer.put(error)

        self._thread.start()
        self._work.put(begin)
        try:
            begun = answer.get(timeout=seconds)
        except queue.Empty:
            self._failure, self._told = "no answer", True
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if isinstance(begun, Exception):
            self._failure, self._told = "did not begin", True
            raise begun
        if dict(begun.kept) != self._kept:  # a new run, to which nothing was sent yet
            self.sent = dict(PARTS) if self._kept else self.sent
            self._kept = dict(begun.kept)
        if not self.logger.live:
            self._save()
        return begun.where

    def numbers(self, part: str, rows: list[tuple[int, dict[str, float]]]) -> None:
        """Rows (step, name -> number) of "train" or "val"; those that were sent are left out."""

        def send() -> None:
            last = self.sent[part]
            for step, values in rows:
                if values and (self.logger.live or step > last):
                    self.logger.numbers(step, values)
            if rows and not self.logger.live:
                self.logger.flush()
                self.sent[part] = max(last, rows[-1][0])
                self._save()

        self._hand(send)

    def flush(self) -> None:
        """Send what waits."""
        self._hand(self.logger.flush)

    def picture(self, step: int, name: str, file: Path) -> None:
        """A PNG file."""
        self._hand(lambda: self.logger.picture(step, name, file))

    def end(self, state: str, seconds: float) -> None:
        """End, waiting so long at most."""
        if self._thread.is_alive() and self._failure is None:
            self._hand(lambda: self.logger.end(state))
            self._work.put(None)
            self._thread.join(seconds)
            if self._thread.is_alive() and self._failure is None:
                self._failure = f"no answer within {seconds:g} s"

    def failure(self) -> str | None:
        """Why nothing is sent any more; only the first time one asks."""
        if self._failure is None or self._told:
            return None
        self._told = True
        return self._failure

    def _hand(self, work: Callable[[], None]) -> None:
        if self._failure is None:
            self._work.put(work)

    def _go(self) -> None:
        while (work := self._work.get()) is not None:
            if self._failure is not None:
                continue
            try:
                work()
            except Exception as error:  # whatever a tool or its server raises
                self._failure = in_one_line(error, LONGEST)

    def _read(self) -> None:
        try:
            found: Any = json.loads(self._file.read_text(encoding="utf-8"))
            kept = {str(k): str(v) for k, v in found["kept"].items()}
            sent = {part: int(found["sent"][part]) for part in PARTS}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        self._kept, self.sent = kept, sent

    def _save(self) -> None:
        self._file.parent.mkdir(exist_ok=True)
        partial = self._file.with_suffix(".partial")
        told: Mapping[str, Any] = {"kept": self._kept, "sent": self.sent}
        partial.write_text(json.dumps(told) + "\n", encoding="utf-8")
        partial.replace(self._file)
