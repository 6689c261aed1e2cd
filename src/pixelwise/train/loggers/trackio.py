"""Trackio: a local database, or what its variables TRACKIO_DIR, TRACKIO_SPACE_ID and so on name."""

import contextlib
import io
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import trackio

from pixelwise.train.loggers.base import PROJECT, About, Begun

QUEUES = ("_queued_logs", "_sending_batch")
LONGEST, PAUSE = 20.0, 2.0
"""Seconds."""


class Trackio:
    """One run of Trackio, which knows runs by their names."""

    live: ClassVar[bool] = False

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, about: About) -> Begun:
        """Begin, or go on with, the run of the name that was kept."""
        project = about.kept.get("project") or os.environ.get("TRACKIO_PROJECT") or PROJECT
        name = about.kept.get("name") or f"{about.name}-{uuid.uuid4().hex[:6]}"
        with contextlib.redirect_stdout(io.StringIO()):
            self._run = trackio.init(
                project=project,
                name=name,
                config=dict(about.settings),
                resume="allow",
                embed=False,
            )
        return Begun({"project": project, "name": name}, f"trackio show --project {project}")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step."""
        self._run.log(dict(values), step=step)

    def flush(self) -> None:
        """Wait until Trackio's own thread has written what it was handed.

        Its queue has no public name; where a version has another one, a pause stands in.
        """
        queued = [name for name in QUEUES if hasattr(self._run, name)]
        until = time.monotonic() + (LONGEST if len(queued) == len(QUEUES) else PAUSE)
        while time.monotonic() < until:
            if len(queued) == len(QUEUES) and not any(getattr(self._run, n) for n in queued):
                return
            time.sleep(0.05)

    def picture(self, step: int, name: str, file: Path) -> None:
        """An image."""
        self._run.log({f"pictures/{name}": trackio.Image(str(file))}, step=step)

    def end(self, state: str) -> None:
        """Close the run."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._run.finish()
