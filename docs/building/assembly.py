"""Gathers the pages that Sphinx reads: those written by hand, and those that generators write."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from building.generators import generate
from building.links import relinked, repository_path, sources
from building.places import BUILD, DOCS

COPIED = ("pictures",)
"""Folders below `docs` that go into the site as they are."""


def assemble(source: Path, say: Callable[[str], None]) -> None:
    """Make the folder of sources, touching only what has changed, so that Sphinx reads only that.

    Args:
        source: the folder; what is there and has no source any more is deleted.
        say: takes a line for the reader of the build.
    """
    BUILD.mkdir(exist_ok=True)
    os.environ["PIXELWISE_LANG"] = "en"  # pages are written in English, and translated as a whole
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="fresh-") as name:
        fresh = Path(name)
        write_hand_written(fresh)
        generate(fresh, say)
        synchronise(fresh, source)


def write_hand_written(fresh: Path) -> None:
    """Copy the pages written by hand, their links set right, and pictures."""
    for place, file in sources().items():
        target = fresh / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        target.write_text(relinked(text, repository_path(file), place), encoding="utf-8")
    for folder in COPIED:
        shutil.copytree(DOCS / folder, fresh / folder)


def synchronise(fresh: Path, kept: Path) -> None:
    """Make a folder like another, leaving files that are equal untouched."""
    wanted = {file.relative_to(fresh) for file in fresh.rglob("*") if file.is_file()}
    if kept.exists():
        for file in [file for file in kept.rglob("*") if file.is_file()]:
            if file.relative_to(kept) not in wanted:
                file.unlink()
    for path in sorted(wanted):
        content, target = (fresh / path).read_bytes(), kept / path
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
