"""The file that holds insertions alone: weights, and in its header what stands where."""

import json
from pathlib import Path

import safetensors
from safetensors import safe_open
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.insertion.attached import InsertionPlace
from pixelwise.insertion.inserted import PLAN


def read_saved(path: Path) -> tuple[list[InsertionPlace], dict[str, Tensor]]:
    """Places and weights that `Inserted.save` wrote.

    Raises:
        InputError: No such file, or a file that holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            plan = (file.metadata() or {}).get(PLAN)
            if plan is None:
                raise InputError(
                    f"{path}: holds no insertions; give a file that Inserted.save wrote"
                )
            places = [InsertionPlace.read(entry) for entry in json.loads(plan)]
            return places, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as saved insertions ({error}); give a file that save() wrote"
        ) from error
