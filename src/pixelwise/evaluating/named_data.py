"""The data that runs name; read before torch is loaded."""

from collections.abc import Sequence
from pathlib import Path

from pixelwise.data.drawn import is_drawn
from pixelwise.errors import InputError
from pixelwise.train.saved import SETTINGS, find_data, read_settings


def data_of(runs: Sequence[str]) -> str:
    """The data that the runs were trained on.

    Raises:
        InputError: None of them says so, they differ, or nothing is there.
    """
    named: dict[str, str] = {}
    for run in runs:
        if (Path(run) / SETTINGS).is_file():
            named[run] = find_data(Path(run), read_settings(Path(run)).data)
    if not named:
        raise InputError(f"{runs[0]}: does not name its data; give --data")
    places = {run: data if is_drawn(data) else Path(data).resolve() for run, data in named.items()}
    (first, data), *_ = named.items()
    for run, place in places.items():
        if place != places[first]:
            raise InputError(
                f"{first} was trained on {data}, but {run} on {named[run]}; say with --data on"
                " which pictures both are compared"
            )
    return data
