"""A whole comparison: what is compared is planned, every run made, and the report written."""

import functools
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pixelwise.compare.arms import NONE, Arm, arms, is_mechanism, longer
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.jobs import Job
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.record import Planned, new_folder
from pixelwise.compare.running import failure, is_done, make_run
from pixelwise.errors import InputError
from pixelwise.outputs import alone
from pixelwise.train.plan import TrainingPlan, make_plan
from pixelwise.train.watching import Watcher
