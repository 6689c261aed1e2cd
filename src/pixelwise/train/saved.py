"""What a run's folder says of the run; read before torch is loaded."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pixelwise.data.drawn import is_drawn
from pixelwise.errors import InputError
from pixelwise.notes import settled
from pixelwise.outputs import refuse_used
from pixelwise.settings import checked, numbered_folder
from pixelwise.train.settings import TrainSettings
from pixelwise.yaml_files import read

SETTINGS = "config.yaml"
Settings = TypeVar("Settings")


def read_settings(run: Path) -> TrainSettings:
    """The settings of a run from its `config.yaml`.

    Raises:
        InputError: There is no such file, or what it says cannot be.
    """
    return read_as(TrainSettings, run, SETTINGS, "a training run")


def read_as(settings: type[Settings], folder: Path, name: str, said: str) -> Settings:
    """Settings from the file that a folder keeps them in.

    Args:
        settings: The dataclass.
        folder: What a command made.
        name: Of the file.
        said: What the folder would be, "a comparison".

    Raises:
        InputError: There is no such file, or what it says cannot be.
    """
    path = folder / name
    if not path.is_file():
        raise InputError(f"{folder}: has no {name}, so it is not {said}; check the folder")
    values = checked(settings, read(path, f"it is not the settings of {said}"), str(path))
    try:
        with settled():
            return settings(**values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


@contextmanager
def naming_settings(run: Path) -> Iterator[None]:
    """Errors that begin with a name and its value name the file that these stand in."""
    try:
        yield
    except InputError as error:
        if re.match(r"\w+=", str(error)):
            raise InputError(f"{run / SETTINGS}: {error}") from error
        raise


def named_folder(parent: Path, name: str | None, sign: str, resume: str) -> Path:
    """Make a run's new folder; the next number in `parent` where it has no name.

    Args:
        parent: Where it lies.
        name: Its own, or None.
        sign: A file that a run has from its beginning.
        resume: The command that goes on with a run.

    Raises:
        InputError: There is such a run, or anything else.
    """
    if name is None:
        return numbered_folder(parent)
    run = parent / name
    if (run / sign).exists():
        raise InputError(f"{run}: exists; choose another --name, or go on: {resume} {run}")
    refuse_used(run, "choose another --name")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{run}: cannot make the run's folder ({error.strerror}); choose another --name"
        ) from error
    return run


def find_data(run: Path, data: str, file: str = SETTINGS) -> str:
    """Where a run's data are now: as it names them, or as seen from a folder that it lies in.

    Raises:
        InputError: They are in none of these places.
    """
    if is_drawn(data) or Path(data).exists():
        return data
    if not Path(data).is_absolute():
        for parent in run.resolve().parents:
            if data and (parent / data).exists():
                return str(parent / data)
    raise InputError(
        f"{run / file}: data={data!r}: nothing there, nor below the folders that the run lies"
        " in; say where it is with --data"
    )
