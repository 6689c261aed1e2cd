"""Verdicts on compiled forms: what this process knows, and what lies in files for the next one.

Each verdict is a small file of its own, so that processes that measure at the same time do not lose
each other's. A file that cannot be read is measured anew and written again.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.compiling.kinds import Kind

VERSION = 1
"""Of the files."""
MEASURED = 8
"""Verdicts that a process measures at most."""
SECONDS = 180.0
"""After so many seconds of measuring, nothing more is measured."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found of a layer in a mode.

    Args:
        layer: Its name.
        mode: "forward" or "train".
        taken: Whether the compiled form is to be taken.
        ratio: Time of the layer as it is, over that of its compiled form; 0 where it has none.
        why: "faster", "slower", "differs", or "failed" where it could not be compiled.
    """

    layer: str
    mode: str
    taken: bool
    ratio: float
    why: str


@dataclasses.dataclass
class _Process:
    """What this process knows and did."""

    found: dict[str, Verdict] = dataclasses.field(default_factory=dict)
    measured: int = 0
    seconds: float = 0.0


_here = _Process()


def known(kind: Kind) -> Verdict | None:
    """The verdict of this process, or of a file."""
    name = _name(kind)
    if name not in _here.found and (read := _read(name, kind)) is not None:
        _here.found[name] = read
    return _here.found.get(name)


def keep(kind: Kind, verdict: Verdict) -> None:
    """Take up a verdict; what failed may work tomorrow, so it is not written down."""
    _here.found[_name(kind)] = verdict
    if verdict.why != "failed":
        _write(_name(kind), kind, verdict)


def found() -> list[Verdict]:
    """All that this process knows, oldest first."""
    return list(_here.found.values())


def forget() -> None:
    """Know nothing; files stay."""
    global _here
    _here = _Process()


def may_measure() -> bool:
    """Whether this process may measure another one."""
    return _here.measured < MEASURED and _here.seconds < SECONDS


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """A measurement, with its time."""
    begun = time.monotonic()
    _here.measured += 1
    try:
        yield
    finally:
        _here.seconds += time.monotonic() - begun


def folder() -> Path | None:
    """Where verdicts are kept; None: nowhere."""
    here = os.environ
    if own := here.get("PIXELWISE_CACHE"):
        return None if own == "off" else Path(own) / "compiled"
    try:
        base = here.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # nobody's home
        return None
    return Path(base) / "pixelwise" / "compiled"


def _name(kind: Kind) -> str:
    text = json.dumps(kind, sort_keys=True)
    layer = re.sub(r"\W", "_", str(kind["layer"]), flags=re.ASCII)[:40]
    return f"{layer}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def _read(name: str, kind: Kind) -> Verdict | None:
    base = folder()
    if base is None:
        return None
    try:
        held: Any = json.loads((base / name).read_text(encoding="utf-8"))
        verdict = Verdict(**held["verdict"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = held.get("version") == VERSION and held.get("kind") == dict(kind)
    right = type(verdict.taken) is bool and type(verdict.ratio) in (int, float)
    same = (verdict.layer, verdict.mode) == (kind["layer"], kind["mode"])
    return verdict if fits and right and same else None


def _write(name: str, kind: Kind, verdict: Verdict) -> None:
    """Whole or not at all."""
    base = folder()
    if base is None:
        return
    held = {"version": VERSION, "kind": dict(kind), "verdict": dataclasses.asdict(verdict)}
    partial = base / f".{name}.{os.getpid()}.partial"
    try:
        base.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
            partial.replace(base / name)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        _tell(str(base), error.strerror or str(error))


@functools.cache
def _tell(base: str, why: str) -> None:
    """Once: the next process measures again."""
    _log.warning("%s: cannot be written (%s), so what was measured is not kept", base, why)
