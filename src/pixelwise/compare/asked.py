"""What a comparison is; written to `comparison.yaml`, which repeats it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.checks import at_least, in_range, one_of, parse_duration
from pixelwise.devices import DEVICES
from pixelwise.errors import InputError
from pixelwise.layers.option_text import split
from pixelwise.settings import checked, setting
from pixelwise.train.saved import read_as
from pixelwise.train.settings import TrainSettings

ASKED = "comparison.yaml"
MECHANISMS = "none,control,se,gc,psa_s,coord,isa"
OWN = (
    "data", "model", "backbone", "start", "task", "pretrained", "steps", "epochs", "time_limit",
    "batch_size", "crop", "lr", "seed", "workers", "device", "insert", "attention", "runs", "name",
    "validations", "loggers", "check_data",
)  # fmt: skip
"""Settings of training that the comparison has itself, or decides."""


@dataclass(frozen=True)
class CompareSettings:
    """Settings of `pixelwise compare`."""

    data: str = setting("", "data set, as for 'train'")
    attention: str = setting(
        MECHANISMS,
        "what is compared: layers with their options, none, and control for plain convolutions of"
        " each layer's cost",
    )
    where: str = setting("4", "where they stand: 4 or layer4 (a stage), each stage, or names")
    model: str = setting("fcn", "network that they are put into")
    backbone: str = setting("auto", "its backbone; default: a small one")
    start: str | None = setting(None, "trained run to put them into, instead of a new network")
    task: str = setting("auto", "task; default: what the data is for", advanced=True)
    pretrained: bool = setting(False, "start the backbone from timm's weights")
    seeds: int = setting(3, "runs of each, which differ by their seeds")
    budget: str | None = setting(None, "wall time for all runs such as 2h; default: 2h")
    steps: int | None = setting(None, "optimiser steps of each run, instead of a budget")
    time_per_run: str | None = setting(
        None, "wall time of each run, instead of a budget", advanced=True
    )
    batch_size: int | None = setting(None, "pictures per batch; default: 8, on a CPU 2")
    crop: str = setting("auto", "size of training crops, HEIGHTxWIDTH")
    lr: float | None = setting(None, "peak learning rate")
    lr_sweep: str | None = setting(
        None, "factors on it that each tries first in a tenth of its steps, such as 0.3,1,3"
    )
    halving: bool = setting(
        False, "drop the worse half of the candidates after a third and two thirds of the runs"
    )
    split: str = setting("val", "split that is scored: val or test")
    workers: int | None = setting(
        None, "processes that load pictures; default: as of train", advanced=True
    )
    device: str = setting("auto", DEVICES)
    cluster: str | None = setting(None, "spread the runs by Ray: local, or a cluster's address")
    at_once: int | None = setting(
        None, "on a cluster: so many runs at once, default: what fits", advanced=True
    )
    gpu_share: float = setting(1.0, "on a cluster: of a GPU, for each run", advanced=True)
    name: str | None = setting(None, "folder under runs/compare; default: the next number")
    runs: str = setting("runs", "folder that runs are written to", advanced=True)
    longer: bool = setting(
        True, "train 'none' also for the time that a layer takes more", advanced=True
    )
    exports: bool = setting(
        True, "export each network once, to see whether that works", advanced=True
    )
    check_data: bool = setting(
        True, "look at the data and read every mask before anything is trained", advanced=True
    )
    train: Mapping[str, Any] | None = setting(
        None,
        "further settings of 'train' for all runs: {recipe: sgd, balance: auto}",
        advanced=True,
    )

    def __post_init__(self) -> None:
        given = [n for n in ("budget", "steps", "time_per_run") if getattr(self, n) is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other; give one of them")
        at_least(1, seeds=self.seeds)
        in_range(1, 100, seeds=self.seeds)
        in_range(0.01, 1, gpu_share=self.gpu_share)
        if self.at_once is not None:
            at_least(1, at_once=self.at_once)
        if self.steps is not None:
            in_range(1, 1e9, steps=self.steps)
        for name in ("budget", "time_per_run"):
            if getattr(self, name) is not None:
                parse_duration(**{name: getattr(self, name)})
        one_of(("val", "test"), split=self.split)
        if not self.mechanisms:
            raise InputError("attention='': names nothing; e.g. none,control,se,psa_s")
        if not self.places:
            raise InputError("where='': names no place; e.g. layer4")
        self.factors()  # raises where it cannot be read
        if self.start is not None and (self.model != "fcn" or self.backbone != "auto"):
            raise InputError(
                f"start={self.start!r}: brings its own network; leave out model and backbone"
            )
        further = checked(TrainSettings, self.train or {}, "train")
        if own := [name for name in further if name in OWN]:
            raise InputError(
                f"train={{{own[0]}: ...}}: is not set this way; see pixelwise compare --help for"
                " what is"
            )
        self.recipe()  # raises for what a run could not be trained with

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is compared, one by one."""
        return _listed("attention", self.attention)

    @property
    def places(self) -> tuple[str, ...]:
        """Where layers stand."""
        return _listed("where", self.where)

    def factors(self) -> tuple[float, ...]:
        """Of the sweep over learning rates; empty: there is none."""
        if self.lr_sweep is None:
            return ()
        try:
            found = tuple(float(part) for part in self.lr_sweep.split(","))
        except ValueError:
            found = ()
        if len(found) < 2 or not all(1e-4 <= one <= 1e4 for one in found):
            raise InputError(
                f"lr_sweep={self.lr_sweep!r}: must be two factors or more; e.g. 0.3,1,3"
            )
        return found

    def recipe(self) -> TrainSettings:
        """What all runs have in common; a run has its seed, insertion and length besides."""
        recipe = TrainSettings(
            data=self.data,
            start=self.start,
            task=self.task,
            pretrained=self.pretrained,
            batch_size=self.batch_size,
            crop=self.crop,
            lr=self.lr,
            workers=self.workers,
            device=self.device,
            check_data=self.check_data,
            name=self.name,
            **checked(TrainSettings, self.train or {}, "train"),
        )
        if self.start is not None:
            return recipe
        return dataclasses.replace(recipe, model=self.model, backbone=self.backbone)


def _listed(name: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(part.strip() for part in split(text, ",") if part.strip())
    except InputError as error:
        raise InputError(f"{name}={text!r}: {error}") from error


def read_asked(folder: Path) -> CompareSettings:
    """What was asked for in a folder.

    Raises:
        InputError: It is no comparison's, or says what cannot be.
    """
    return read_as(CompareSettings, folder, ASKED, "a comparison")
