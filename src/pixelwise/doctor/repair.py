"""Writes the data.yaml that mends what a data.yaml can mend, and looks at the result."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelwise import yaml_files
from pixelwise.data.config import DataConfig
from pixelwise.doctor.examine import Examination, Progress, examine
from pixelwise.errors import InputError
from pixelwise.pictures.files import write_bytes

ROUNDS = 3
HEAD = "# Proposed by `pixelwise check-data`: look at names and map before training.\n"


def check_target(examined: str | Path, target: Path) -> None:
    """Whether a repaired data.yaml may be written there.

    Raises:
        InputError: It is no YAML file, its folder is missing, or another file stands there.
    """
    if target.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(f"fix={str(target)!r}: must be a YAML file; e.g. --fix data.yaml")
    if not target.parent.is_dir():
        raise InputError(f"fix={str(target)!r}: its folder is not there; make it first")
    named = Path(examined)
    own = [named, *(named / name for name in ("data.yaml", "data.yml"))]
    if (target.exists() or target.is_symlink()) and not any(
        file.is_file() and file.samefile(target) for file in own if target.exists()
    ):
        raise InputError(
            f"fix={str(target)!r}: stands there and is not the data set's own; choose a new name"
        )


def repaired(examination: Examination) -> dict[str, Any] | None:
    """The keys of a data.yaml that mends what can be mended so; None: nothing can."""
    repairs = [f.repair for f in examination.findings if f.repair is not None]
    if not repairs:
        return None
    content = dict(examination.seen.subject.content)
    for repair in repairs:
        content.update(repair)
    return {key: value for key, value in content.items() if value is not None}


def write_repaired(
    examination: Examination,
    target: Path,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> Examination | None:
    """Write the mended data.yaml and look at the data set as it says; None: nothing to mend.

    Raises:
        InputError: What was found does not make a whole data.yaml, or it cannot be written.
    """
    content = repaired(examination)
    if content is None:
        return None
    for _ in range(ROUNDS):
        content = _placed(examination, content, target)
        DataConfig.of(target, content)
        write_bytes(target, (HEAD + yaml_files.to_text(content)).encode())
        examination = examine(target, workers=workers, progress=progress)
        more = repaired(examination)
        if more is None:
            break
        content = more
    return examination


def _placed(examination: Examination, content: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """With the path to the data set's folder as it is from the file that is written."""
    subject = examination.seen.subject
    base = subject.file.parent if subject.file is not None else subject.root
    root = base / str(content.get("path", "."))
    path = Path(os.path.relpath(root.resolve(), target.parent.resolve())).as_posix()
    rest = {key: value for key, value in content.items() if key != "path"}
    return rest if path == "." else {"path": path, **rest}
