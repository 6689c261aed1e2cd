"""Which loggers there are, and whether they are installed."""

import importlib
import importlib.util
from typing import Any

from pixelwise.errors import InputError, unknown

ALWAYS = ("csv", "tensorboard")
LOGGERS = {
    "wandb": ("pixelwise.train.loggers.wandb", "WeightsAndBiases"),
    "trackio": ("pixelwise.train.loggers.trackio", "Trackio"),
    "mlflow": ("pixelwise.train.loggers.mlflow", "MLflow"),
}
"""Name, which is that of the package, -> module and class."""
OFFLINE = {
    "wandb": "set WANDB_MODE=offline, and `wandb sync` sends the run later",
    "trackio": "unset TRACKIO_SPACE_ID and TRACKIO_SERVER_URL, and it stays on this machine",
    "mlflow": "set MLFLOW_TRACKING_URI=sqlite:///mlflow.db, and it stays on this machine",
}
"""How each does without a server."""


def read_names(loggers: str | None) -> tuple[str, ...]:
    """The loggers of a setting such as "wandb,mlflow", without those that always run.

    Raises:
        InputError: There is none of that name.
    """
    words = [word.strip().lower() for word in (loggers or "").split(",")]
    found = [word for word in words if word not in ("", "none", *ALWAYS)]
    for word in found:
        if word not in LOGGERS:
            raise unknown("logger", word, (*ALWAYS, *LOGGERS), "of `loggers`")
    return tuple(dict.fromkeys(found))


def check_installed(loggers: str | None) -> None:
    """Raise an InputError for the first wanted logger that is not installed."""
    for name in read_names(loggers):
        found = importlib.util.find_spec(name)
        # A folder of that name in the working directory, as W&B makes one, is a package to Python.
        if found is None or found.origin is None:
            raise InputError(
                f"loggers={loggers!r}: {name} is not installed; pip install {name}, or leave it out"
            )


def make(name: str) -> Any:
    """The logger of that name.

    Raises:
        InputError: Its package cannot be imported.
    """
    module, kind = LOGGERS[name]
    try:
        # The tools compare numbers with figures of matplotlib, in their thread: while the main one
        # imports it for the first time, they would drop them.
        importlib.import_module("matplotlib.figure")
        return getattr(importlib.import_module(module), kind)()
    except Exception as error:  # a package that is broken raises anything
        told = " ".join(str(error).split())[:160]
        raise InputError(
            f"loggers={name!r}: cannot be imported ({type(error).__name__}: {told}); repair it with"
            f" pip install --upgrade {name}, or leave it out"
        ) from error
