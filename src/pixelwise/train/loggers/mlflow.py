"""MLflow: the tracking server or database of MLFLOW_TRACKING_URI, by default of this folder."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient, get_tracking_uri

from pixelwise.train.loggers.base import PROJECT, About, Begun
from pixelwise.train.loggers.mlflow_names import LONGEST, allowed

MOST_METRICS, MOST_PARAMS = 500, 100
"""In one request."""
STATES = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MLflow:
    """One run of MLflow, apart from any that the caller's own code has active."""

    live: ClassVar[bool] = False

    def __init__(self) -> None:
        self._client: Any = None
        self._run = ""
        self._waiting: list[Any] = []

    def begin(self, about: About) -> Begun:
        """Begin, or go on with, the run of the id that was kept."""
        for name in ("mlflow", "alembic"):  # pages of lines on a new database
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = about.kept.get("uri") or get_tracking_uri()
        self._client = MlflowClient(uri)
        if "id" in about.kept:
            self._run = about.kept["id"]
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._run = self._new(about)
        return Begun({"id": self._run, "uri": uri}, f"mlflow ui --backend-store-uri {uri}")

    def _new(self, about: About) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        run: str = self._client.create_run(experiment, run_name=about.name).info.run_id
        params = [Param(k, str(v)[:LONGEST]) for k, v in about.settings.items()]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(run, params=params[start : start + MOST_PARAMS])
        return run

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Keep them for `flush`."""
        now = int(1000 * time.time())
        names = allowed(values)
        pairs = zip(names, values.values(), strict=True)
        self._waiting += [Metric(name, value, now, step) for name, value in pairs]

    def flush(self) -> None:
        """Send what waits."""
        while self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting[:MOST_METRICS])
            del self._waiting[:MOST_METRICS]

    def picture(self, step: int, name: str, file: Path) -> None:
        """An artifact."""
        self._client.log_artifact(self._run, str(file), "pictures")

    def end(self, state: str) -> None:
        """Close the run."""
        self.flush()
        self._client.set_terminated(self._run, STATES[state])
