"""What a run was when it began, to tell at `--resume` what has changed since."""

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pixelwise.data.source import Split
from pixelwise.errors import InputError
from pixelwise.language import joined, message, spoken, translate
from pixelwise.settings import as_plain
from pixelwise.train.inputs import Data
from pixelwise.train.settings import NETWORK, TrainSettings

FILE = "record.json"
FREE = (
    "workers", "device", "data", "name", "runs", "checkpoint_every", "check_data", "source", "keep",
    "strategy", "cache", "loggers",
)  # fmt: skip
"""Settings that do not change what a run computes, or that are compared otherwise."""
BUILT = (*NETWORK, "start", "insert", "task")
"""Settings that say which weights there are."""
NAMED = 3
REMEDY = "bring it back, or remove it: then nothing tells what changed since the run began"


def _listed(kind: type) -> Callable[[Any], bool]:
    """Whether it is a list, all of one kind."""
    return lambda values: isinstance(values, list) and all(type(v) is kind for v in values)


FORM: Mapping[str, Callable[[Any], bool]] = {
    "settings": lambda found: isinstance(found, dict),
    "classes": _listed(str),
    "values": lambda found: isinstance(found, str),
    "files": lambda found: isinstance(found, dict) and all(map(_listed(int), found.values())),
    "task": lambda found: isinstance(found, str),
}


@dataclasses.dataclass(frozen=True)
class Record:
    """Settings, classes, and the files of the data with numbers that change when they do."""

    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    values: str
    """How raw values of masks and pictures are read."""
    files: Mapping[str, tuple[int, ...]]
    """Picture -> its size in bytes, and a check sum of its mask."""
    task: str = ""
    """What the data was for; empty in records of older versions."""

    @classmethod
    def of(cls, settings: TrainSettings, data: Data) -> "Record":
        """The record of a run as it is now."""
        source = data.source
        values = f"{data.train.meaning} ignore {source.classes.ignore_index}, bands {source.bands}"
        values += f" {source.band_numbers}, white {source.scale:g}"
        files = {**_files("train", data.train), **_files("val", data.val)}
        plain = json.loads(json.dumps(as_plain(settings)))
        if (own := (plain["augment"] or {}).get("own")) is not None:  # what the file says counts
            own["check_sum"] = zlib.crc32(Path(own["call"].rpartition(":")[0]).read_bytes())
        return cls(plain, source.classes.names, values, files, data.task.key)

    @classmethod
    def load(cls, run: Path) -> "Record | None":
        """What `save` wrote, or None where a run has none.

        Raises:
            InputError: It is not what `save` wrote.
        """
        path = run / FILE
        if not path.exists() and not path.is_symlink():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            told = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise InputError(f"{path}: cannot be read ({told[:120]}); {REMEDY}") from error
        found = {"task": "", **found} if isinstance(found, dict) else {}
        for name, right in FORM.items():
            if name not in found or not right(found[name]):
                raise InputError(f"{path}: {name} is not as the run wrote it; {REMEDY}")
        files = {name: tuple(numbers) for name, numbers in found["files"].items()}
        classes, task = tuple(found["classes"]), found["task"]
        return cls(found["settings"], classes, found["values"], files, task)

    def save(self, run: Path) -> None:
        """Write it into a run's folder, whole or not at all."""
        unfinished = run / f"{FILE}.partial"
        unfinished.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")
        unfinished.replace(run / FILE)

    def settings_changed(self, before: "Record") -> dict[str, str]:
        """Setting -> what it was and what it is, for those that count."""
        names = [name for name in self.settings if name not in FREE]
        pairs = {n: (before.settings.get(n, self.settings[n]), self.settings[n]) for n in names}
        return {
            name: message("{name} was {old!r} and is {new!r} now", name=name, old=old, new=new)
            for name, (old, new) in pairs.items()
            if old != new
        }

    def data_changed(self, before: "Record") -> list[str]:
        """What changed in the data, in words."""
        told: list[str] = []
        if self.values != before.values:
            told.append(
                message(
                    "values are read otherwise (before {values}, now {values2})",
                    values=before.values,
                    values2=self.values,
                )
            )
        gone = [name for name in before.files if name not in self.files]
        new = [name for name in self.files if name not in before.files]
        both = [name for name in self.files if name in before.files]
        masks = [n for n in both if self.files[n][1] != before.files[n][1]]
        pictures = [n for n in both if self.files[n][0] != before.files[n][0]]
        for names, what in (
            (gone, message("pictures are gone")),
            (new, message("pictures are new")),
            (masks, message("masks were edited")),
            (pictures, message("pictures were edited")),
        ):
            if names:
                more = ", ..." if len(names) > NAMED else ""
                told.append(f"{len(names)} {what}: {', '.join(names[:NAMED])}{more}")
        return told


def compare(run: Path, now: Record, *, trained: bool, accept: bool) -> str | None:
    """A line on what changed since a run began, or None.

    Args:
        run: The run's folder.
        now: The run as it is.
        trained: Whether there is a checkpoint, whose weights have to fit.
        accept: Go on where the data changed; who edits settings means it.

    Raises:
        InputError: The task is another, the network is another than that of the checkpoint, or
            the data changed and that is not accepted.
    """
    before = Record.load(run)
    if before is None:
        return f"{run / FILE} is missing, so nothing tells what changed since the run began"
    settings, told = now.settings_changed(before), now.data_changed(before)
    if trained and (built := [settings[name] for name in BUILT if name in settings]):
        raise InputError(
            f"{run / 'config.yaml'}: {', '.join(built)}, which does not fit the weights of the"
            " checkpoints; undo that, or start a new run"
        )
    if before.task and now.task != before.task:
        raise InputError(
            f"{run}: the data was for task {before.task!r} and is for {now.task!r} now, which does"
            " not fit the run's network; undo that, or start a new run"
        )
    if now.classes != before.classes:
        line = message(
            "the classes were {classes} and are {classes2} now",
            classes=", ".join(before.classes),
            classes2=", ".join(now.classes),
        )
        if not accept:
            raise InputError(
                f"{run}: {line}, so the weights mean something else; undo that, start a new run,"
                " or add --accept-changes"
            )
        told.append(line)
    if told and trained and not accept:
        raise InputError(
            f"{run}: the data changed since the run began: {', and '.join(told)}, so it would not"
            " come to the weights that it was on its way to; undo that, or add --accept-changes"
        )
    told = [*settings.values(), *told]
    if not told:
        return None
    return translate(
        "changed since the run began: {told}. It goes on, but not to the weights"
        " that it would have come to"
    ).format(told=spoken(joined("; ", told)))


def _files(split: str, pictures: Split) -> dict[str, tuple[int, ...]]:
    return {f"{split}/{name}": numbers for name, numbers in pictures.files().items()}
