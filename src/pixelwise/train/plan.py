"""From settings to everything that a run needs, checked before step one.

The four steps data, network, length and report are quick: a misspelt name does not wait for the
masks, all of which are read only then.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pixelwise.checks import parse_duration
from pixelwise.data.source import Found, Progress
from pixelwise.devices import pick_device
from pixelwise.language import spoken, translate
from pixelwise.networks.segmenter import Segmenter
from pixelwise.tasks.base import Items, Loss, LossChoice, Stream, Task
from pixelwise.train.inputs import (
    Data,
    augmentation,
    balance,
    check_data,
    crop_size,
    evaluation_set,
    kept,
    kinds,
    open_splits,
    set_statistics,
    training_stream,
)
from pixelwise.train.network import Network, build_network
from pixelwise.train.processes import current
from pixelwise.train.settings import TrainSettings

EPOCHS = 50
"""Length of a run where no setting says it."""


@dataclass(frozen=True)
class Length:
    """How long a run is; one of the two is None."""

    steps: int | None
    seconds: float | None


@dataclass(frozen=True)
class TrainingPlan:
    """All that a run needs."""

    settings: TrainSettings
    data: Data
    network: Network
    length: Length
    device: str
    stream: Stream
    val_inputs: Items
    loss: Loss

    @property
    def model(self) -> Segmenter:
        """The network itself."""
        return self.network.model

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in which the training pictures are seen once."""
        return math.ceil(len(self.data.train) / self.settings.per_step)


def make_plan(
    settings: TrainSettings,
    say: Callable[[str], None],
    progress: Progress,
    *,
    described: Path | None = None,
    look: Callable[[str], None] | None = None,
) -> TrainingPlan:
    """Open the data, build the network, settle the length, tell the user; then read the masks.

    Args:
        settings: The run.
        say: Takes one line about what was understood.
        progress: Told (done, all) while masks are read.
        described: See `build_network`.
        look: Looks at the data set of that name before all masks are read.
    """
    device = pick_device(settings.device)
    data = open_splits(settings)
    settings = _settled(settings, data.task, device)
    network = build_network(settings, data, described)
    length, crop = _length(settings, data), crop_size(settings, data)
    model = network.model
    options = model.task.trained_at(crop)
    model.config = dataclasses.replace(model.config, task_options=options)
    varied = augmentation(settings, data.task)
    weights = None if settings.class_weights == "none" else torch.ones(len(data.source.classes))
    _loss(settings, model, weights)  # raises here what would be told after all masks are read
    for line in _report(settings, data, network, length, crop, device):
        say(line)

    if look is not None and settings.check_data:
        current().first(lambda: look(settings.data))
    data = kept(settings, data, say)
    found = check_data(settings, data, progress)
    for line in () if found is None else found.lines(data.source.classes.names):
        say(line)
    if (shares := balance(settings, data, found)) is not None:
        varied = dataclasses.replace(varied, balance=shares)
        say(shares.line(data.source.classes.names))
    set_statistics(settings, data, model, found)
    more = kinds(settings, data, found, model.config.dtype)
    varied = dataclasses.replace(varied, kinds=more)
    stream = training_stream(settings, data, model, crop, varied)
    if more is not None:
        say(more.line(data.source.classes.names))
        more.try_out(stream)
    return TrainingPlan(
        settings=settings,
        data=data,
        network=network,
        length=length,
        device=device,
        stream=stream,
        val_inputs=evaluation_set(data, model),
        loss=_loss(settings, model, _weights(settings, data, found, device)),
    )


def _settled(settings: TrainSettings, task: type[Task], device: str) -> TrainSettings:
    """With what the task and the machine decide, so that the run's record holds it."""
    if settings.batch_size is None:
        settings = dataclasses.replace(settings, batch_size=task.batch_size(device))
    if settings.model != "auto" or settings.start is not None:
        return settings
    named = None if settings.backbone == "auto" else settings.backbone
    model, backbone = task.usual_network(named)
    return dataclasses.replace(settings, model=model, backbone=backbone)


def _length(settings: TrainSettings, data: Data) -> Length:
    if settings.time_limit is not None:
        return Length(None, parse_duration(time_limit=settings.time_limit))
    if settings.steps is not None:
        return Length(settings.steps, None)
    pictures = (settings.epochs or EPOCHS) * len(data.train)
    return Length(math.ceil(pictures / settings.per_step), None)


def _report(
    settings: TrainSettings,
    data: Data,
    network: Network,
    length: Length,
    crop: tuple[int, int],
    device: str,
) -> list[str]:
    """What was understood, line by line."""
    source, model = data.source, network.model
    attention = (
        translate(" with {attention}").format(attention=settings.attention)
        if settings.attention not in ("auto", "none")
        else ""
    )
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    steps = translate("{steps} steps").format(steps=length.steps)
    shown = (
        steps
        if settings.time_limit is None
        else translate("{time_limit} of wall time").format(time_limit=settings.time_limit)
    )
    return [
        translate(
            "data    {name}: {train} training and {val} validation pictures, {contents}"
        ).format(
            name=source.name,
            train=len(data.train),
            val=len(data.val),
            contents=spoken(source.contents),
        ),
        *(translate("insert  {line}").format(line=line) for line in network.inserted.splitlines()),
        translate(
            "model   {arch}{attention} on {backbone}: {parameters:.2f} M parameters,"
            " output stride {model}"
        ).format(
            arch=model.config.arch,
            attention=attention,
            backbone=model.config.backbone,
            parameters=parameters,
            model=model.backbone.reductions[-1],
        ),
        translate(
            "run     {shown} of {per_step} crops {crop}x{crop2}, {recipe} lr"
            " {peak_lr:g}, {precision}-bit on {device}, seed {seed}"
        ).format(
            shown=shown,
            per_step=settings.per_step,
            crop=crop[0],
            crop2=crop[1],
            recipe=settings.recipe,
            peak_lr=settings.peak_lr,
            precision=settings.precision,
            device=device,
            seed=settings.seed,
        ),
    ]


def _weights(
    settings: TrainSettings, data: Data, found: Found | None, device: str
) -> Tensor | None:
    if settings.class_weights == "none" or found is None:
        return None
    return data.task.class_weights(found).to(device)


def _loss(settings: TrainSettings, model: Segmenter, weights: Tensor | None = None) -> Loss:
    return model.task.loss(LossChoice(settings.loss, model.decoder.loss, weights))
