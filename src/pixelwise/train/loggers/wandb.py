"""Weights & Biases. Its variables WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE and so on hold.

Steps are a number of each row, `train/step` and `val/step`, and the axis of its charts.
"""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import wandb

from pixelwise.errors import InputError
from pixelwise.train.loggers.base import PROJECT, About, Begun
from pixelwise.train.loggers.choice import OFFLINE

PRIVATE = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "save_code": False,
    "x_disable_meta": True,
}
"""No output on the terminal; no address of a repository, no host, no words of the command."""


class WeightsAndBiases:
    """One run of W&B, apart from any that the caller's own code has."""

    live: ClassVar[bool] = False

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, about: About) -> Begun:
        """Begin, or go on with, the run of the id that was kept."""
        known = wandb.Settings.model_fields
        settings = wandb.Settings(**{k: v for k, v in PRIVATE.items() if k in known})
        _check_key()
        name = about.kept.get("id") or uuid.uuid4().hex[:8]
        project = about.kept.get("project") or os.environ.get("WANDB_PROJECT") or PROJECT
        self._run = wandb.init(
            project=project,
            name=about.name,
            id=name,
            resume="allow",
            dir=str(about.run),
            config=dict(about.settings),
            allow_val_change=True,
            reinit="create_new",
            settings=settings,
        )
        for part in ("train", "val"):
            self._run.define_metric(f"{part}/*", step_metric=f"{part}/step")
        folder = Path(self._run.dir).parent
        where = f"wandb sync {folder}" if self._run.offline else str(self._run.url)
        return Begun({"id": name, "project": project}, where)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One row of the history."""
        part = next(iter(values)).partition("/")[0]
        self._run.log({f"{part}/step": step, **values})

    def flush(self) -> None:
        """Nothing waits here: W&B sends by itself."""

    def picture(self, step: int, name: str, file: Path) -> None:
        """An image."""
        self._run.log({"pictures/step": step, f"pictures/{name}": wandb.Image(str(file))})

    def end(self, state: str) -> None:
        """Close the run."""
        self._run.finish(exit_code=0 if state == "finished" else 1)


def _check_key() -> None:
    """Raise where there is no API key: W&B would ask for one, in the middle of a job too."""
    mode = os.environ.get("WANDB_MODE") or wandb.setup().settings.mode
    if mode in ("offline", "disabled", "dryrun"):
        return
    try:
        known = wandb.login(prompt=False)
    except TypeError:  # versions without `prompt`
        known = bool(wandb.api.api_key)
    if not known:
        raise InputError(
            "loggers='wandb': there is no API key; run `wandb login`, or for a machine without"
            f" network {OFFLINE['wandb']}"
        )
